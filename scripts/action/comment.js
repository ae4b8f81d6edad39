// Writes what the summary says to the pull request: one comment for each job, which
// later runs update. By the job's own token; where that may not write, as in forks,
// the summary is all there is, and a line says so.
//
//   PYRR_COMMENT   the file with the text
//   PYRR_RESULT    how the command ended: of what passed, only an old comment changes
//   PYRR_JOB       names the job, with its place in the matrix
const fs = require('fs')

module.exports = async ({ github, context, core }) => {
  const request = context.payload.pull_request
  if (!request) {
    core.info('pyrr: no pull request, so no comment')
    return
  }
  const job = (process.env.PYRR_JOB || 'job').replace(/-\d+$/, '').replace(/[^A-Za-z0-9._+-]/g, '-') // the attempt is another one each time
  const marker = `<!-- pyrr ${job} -->`
  const body = `${marker}\n${fs.readFileSync(process.env.PYRR_COMMENT, 'utf8')}`
  const where = { owner: context.repo.owner, repo: context.repo.repo }
  try {
    const comments = await github.paginate(github.rest.issues.listComments, { ...where, issue_number: request.number, per_page: 100 })
    // Only a comment of the job's own kind of token is its own.
    const old = comments.find((c) => c.user && c.user.type === 'Bot' && (c.body || '').startsWith(marker))
    if (old) {
      await github.rest.issues.updateComment({ ...where, comment_id: old.id, body })
      core.info(`pyrr: updated ${old.html_url}`)
    } else if (process.env.PYRR_RESULT !== 'passed') {
      const made = await github.rest.issues.createComment({ ...where, issue_number: request.number, body })
      core.info(`pyrr: wrote ${made.data.html_url}`)
    }
  } catch (error) {
    if (error.status !== 403 && error.status !== 404) throw error
    core.info('pyrr: the job may not write comments (permissions: pull-requests: write); the summary says all')
  }
}
