"""Workers killed under load: the load, the nemesis that kills, and the checker that judges what is left.

The checker imports nothing of the engine. It reads what handlers, dispatchers and nemesis wrote down, and the
database through the standard library's driver.
"""
