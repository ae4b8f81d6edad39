-- A session of nvim-dap with pyrr dap, as it runs in a Neovim without a screen. PYRR is
-- the program, APP the file, REC its recording. It prints what was done and seen.
local dap = require('dap')
local repl = require('dap.repl')

local function say(did, saw) io.stdout:write(string.format('%-44s %s\n', did, saw)) end
local function leave(why)
  if why then say('failed:', why) end
  vim.cmd(why and 'cquit 1' or 'qall!')
end
local function await(what, f)
  if not vim.wait(60000, f, 20) then leave(what) end
end

dap.adapters.pyrr = { type = 'executable', command = os.getenv('PYRR'), args = { 'dap' } }
local stops, reason = 0, ''
dap.listeners.after.event_stopped.session = function(_, body) reason = body.reason end
local frames
dap.listeners.after.stackTrace.session = function(_, err, answer)
  if not err then
    frames, stops = answer.stackFrames, stops + 1
  end
end
-- Does f, waits until the process stands somewhere, and says where.
local function move(did, f)
  local n = stops
  f()
  await(did, function()
    local s = dap.session()
    return stops > n and s and s.stopped_thread_id and (s.current_frame or #frames == 0)
  end)
  local top = frames[1]
  if not top then -- where the recording begins there is no Python yet
    return say(did, reason)
  end
  say(did, string.format('%s, %s line %d, cursor in line %d', reason, top.name, top.line, vim.api.nvim_win_get_cursor(0)[1]))
end
local function evaluate(text)
  local done
  local s = dap.session()
  s:request('evaluate', { expression = text, frameId = s.current_frame.id, context = 'repl' }, function(err, answer)
    done = err and ('refused: ' .. tostring(err.message or err)) or answer.result
  end)
  await(text, function() return done end)
  say('evaluate ' .. text, (done:gsub('\n.*', '')))
end

local function session()
  vim.cmd('edit ' .. vim.fn.fnameescape(os.getenv('APP')))
  vim.api.nvim_win_set_cursor(0, { 8, 0 })
  dap.set_breakpoint('i == 2')
  move('run, with a breakpoint at line 8 if i == 2', function()
    dap.run({ type = 'pyrr', request = 'launch', name = 'Recording', recording = os.getenv('REC') })
  end)
  move('continue', dap.continue)
  evaluate('total + i * step')
  evaluate('run()')
  move('step_back', dap.step_back)
  move('step_over', dap.step_over)

  -- Completions in the REPL: what nvim-dap would offer where somebody has typed that.
  local offered
  vim.fn.complete = function(_, items) offered = items end
  vim.o.virtualedit = 'onemore'
  repl.open()
  vim.cmd('wincmd j')
  local function complete(typed)
    offered = nil
    vim.api.nvim_buf_set_lines(0, -2, -1, true, { 'dap> ' .. typed })
    vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(0), 5 + #typed })
    repl.omnifunc(1, '')
    await('completions', function() return offered end)
    local words = {}
    for i = 1, math.min(#offered, 6) do words[i] = offered[i].word end
    say('in the REPL, completions of ' .. typed, table.concat(words, ' '))
  end
  complete('self.')
  vim.cmd('wincmd p')

  move('reverse_continue', dap.reverse_continue)
  local ended
  dap.listeners.before.disconnect.session = function() ended = true end
  dap.terminate()
  vim.wait(5000, function() return ended or not dap.session() end, 20)
  say('terminate', dap.session() and 'a session is left' or 'no session is left')
end

local ok, err = xpcall(session, debug.traceback)
leave(not ok and err or nil)
