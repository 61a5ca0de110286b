"""Every interleaving of a small world: the shipped scripts and steps, taken apart call by call.

``table`` runs the shipped Lua over a small command table whose state is copied at no cost;
``world`` takes the real ``step()`` code apart into its server calls; ``canon`` says which states
have the same future; ``invariants`` and ``drain`` judge a state; ``search`` goes through all of
them; ``replay`` plays a trace again on another server.
"""
