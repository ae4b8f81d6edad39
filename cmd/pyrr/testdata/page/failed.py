"""A basket is priced by a list that lacks one of its goods."""
prices = {"tea": 4.5, "bread": 3.2}


def total(basket, prices):
    summed = 0.0
    for name, count in basket.items():
        summed += prices[name] * count
    return summed


basket = {"tea": 2, "milk": 1}
print("pricing", len(basket), "goods", flush=True)
print(total(basket, prices))
