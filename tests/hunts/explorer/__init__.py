"""Every interleaving of a small world: the shipped scripts and steps, taken apart call by call.

``table`` runs the shipped Lua over a small command table whose state (``db``) is copied at no cost;
``wire`` and ``system`` take the real ``step()`` code apart into its server calls; ``moves`` names
every action; ``canon`` says which states have the same future; ``invariants``, ``changes`` and
``drain`` judge a state, a call, and where a state leads; ``search`` goes through all of them;
``replay`` plays a trace again on another server. ``worlds`` are what is explored.
"""
