"""A pool of eight threads that ask a server in the same process, over loopback."""
import concurrent.futures
import http.server
import threading
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode() * 50
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
url = "http://127.0.0.1:%d/%%d" % server.server_address[1]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(len(pool.submit(lambda i=i: urllib.request.urlopen(url % i).read()).result()) for i in range(150)))
server.shutdown()
