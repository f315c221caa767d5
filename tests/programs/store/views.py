"""References to a function of another module, by name and otherwise."""

from pricing import price
from pricing import price as cost

routes = {"/price": price}


def in_a_closure():
    function = price
    return lambda order: function(order)


closed = in_a_closure()


def show(order):
    return price(order), cost(order)
