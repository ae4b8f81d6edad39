import logging
import queue
import threading

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("shop")
class Shop:
    def __init__(self):
        self.orders = queue.Queue()
        self.state = "open"
        self.sold = 0
    def sell(self, n):
        self.sold += n
        if self.sold > 40:
            self.state = "closed"
        return self.sold

def clerk(shop):
    while shop.state == "open":
        shop.sell(shop.orders.get())
    log.info("closed after %d", shop.sold)

def price(n):
    return sum(k * k for k in range(n * 400)) % 97

shop = Shop()
threading.Thread(target=clerk, args=(shop,), name="clerk").start()
for n in range(1, 13):
    price(n)
    shop.orders.put(n)


# All is sold, or the shop is closed.
shop.orders.join()
