"""Words that never name a group of labels."""

# English function words: they tie other words together and name nothing to be seen.
_STOP_WORDS = """
a about above after again against all also am an and any are aren't around as at be because been
before being below between both but by can can't cannot could couldn't did didn't do does doesn't
doing don't down during each either else ever every few for from further had hadn't has hasn't
have haven't having he her here hers herself him himself his how i i'd i'll i'm i've if in inside
into is isn't it it's its itself just let's many may me might more mostly much must my myself near
neither no nor not of off on once only onto or other our ours ourselves out outside over own per
quite rather really same she should shouldn't so some such than that that's the their theirs them
themselves then there there's these they this those through to too toward towards under until up
upon us very was wasn't we were weren't what what's when where which while who whom whose why will
with within without won't would wouldn't yes you your yours yourself yourselves
"""

# Bianchi et al. 2024: words of the game's labels that hedge, count or place, but name nothing.
_HEDGES_AND_PLACES = """
something like multiple lower upper typical maybe center least most previous next left right
"""

UNNAMING_WORDS = frozenset((_STOP_WORDS + _HEDGES_AND_PLACES).split())
