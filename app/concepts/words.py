"""Words that never name a group of labels, and words that say nothing about a picture."""

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

# Chat, shrugs, and words that fit any region of any picture: a label of nothing else is junk.
# English, Italian, Spanish.
_EMPTY = """
idk idc dunno dontknow unknown unsure unclear none nothing null nil nope nah no yes yeah yep ok
okay okey k whatever anything something somewhere thing things stuff object objects item maybe
perhaps probably guess test testing tested skip next pass lol lmao rofl wtf omg xd haha hi hello
hey bye ciao hola thanks thank please sorry blah bla meh hmm hm mmm um uh uhm eh huh boh mah bho
niente nulla nessuno nessuna forse qualcosa cosa cose sì si certo nada ninguno ninguna algo cosa
quizás quizas vale prova prueba salta
image picture photo label word answer class foto imagen immagine
left right top bottom upper lower central here there up
down above below foreground behind area part region section piece
place sinistra destra alto basso sopra sotto izquierda derecha arriba abajo lado
different various many some other others same all every everything
know see sure idea clue sé
the a an of in on at to it is this that and or i my me you its with for
"""

# Places in any picture, but parts of some things: a flower has a center, an animal a back.
_PLACES = "middle center centre corner side edge front back centro"

# Rude whatever the picture, as whole words.
_RUDE = """
fuck fucks fucking fucker fucked fuk fck fuckyou motherfucker shit shits shitty bullshit bitch
bitches bastard asshole assholes arsehole ass arse cunt cunts dick dicks dickhead cock cocks
cocksucker pussy prick twat wanker bollocks slut sluts whore whores fag faggot nigger nigga
retard retarded piss crap penis vagina boobs tits dildo porn sex stfu
merda merde cazzo cazzi cazzate stronzo stronza stronzi puttana puttane troia vaffanculo fanculo
culo coglione coglioni minchia figa fica porco dio porcodio bastardo cretino idiota
puta puto putas mierda joder jodete coño cabron cabrón pendejo gilipollas polla verga maricon
maricón chinga chingada hijoputa carajo culero
idiot idiots stupid moron loser suck sucks damn
"""

PLACE_WORDS = frozenset(_PLACES.split())
EMPTY_WORDS = frozenset(_EMPTY.split()) | PLACE_WORDS
RUDE_WORDS = frozenset(_RUDE.split())
