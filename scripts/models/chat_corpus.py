"""The small world of `models/chat`: a grammar that writes dialogues, facts about ZeroG among them, and tells stories.

Every sentence here was written for this repository. `exchange` draws one question and its answer; `conversation` strings
exchanges together; `is_heldout` sets aside one prompt in twenty, by hash, for the figures in the model card.
"""

import hashlib
import random

NAMES = """Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Victor Wendy
Adam Bella Carl Diana Eric Flora George Hanna Ivan Julia Karl Lena Max Nina Oscar Petra Robert Sara Tom Ursula Vera
Walter Zoe Alice Bruno Celia Daniel Elena Frank Gina Hugo Irene Jonas Kira Lukas Maria Nora Otto Paula Simon Theo""".split()

# word: (sound, home, food, legs, kind, colour)
ANIMALS = {
    "dog": ("woof", "in a house with people", "meat and biscuits", 4, "mammal", "brown"),
    "cat": ("meow", "in a house with people", "fish and mice", 4, "mammal", "grey"),
    "cow": ("moo", "on a farm", "grass", 4, "mammal", "black and white"),
    "sheep": ("baa", "on a farm", "grass", 4, "mammal", "white"),
    "pig": ("oink", "on a farm", "almost everything", 4, "mammal", "pink"),
    "horse": ("neigh", "in a stable", "hay and oats", 4, "mammal", "brown"),
    "duck": ("quack", "on a pond", "water plants", 2, "bird", "brown"),
    "hen": ("cluck", "in a hen house", "corn", 2, "bird", "brown"),
    "owl": ("hoot", "in an old tree", "mice", 2, "bird", "brown"),
    "crow": ("caw", "in the fields", "seeds and insects", 2, "bird", "black"),
    "frog": ("croak", "by a pond", "insects", 4, "amphibian", "green"),
    "bee": ("buzz", "in a hive", "nectar", 6, "insect", "yellow and black"),
    "lion": ("roar", "on the savanna", "meat", 4, "mammal", "gold"),
    "wolf": ("howl", "in the forest", "meat", 4, "mammal", "grey"),
    "mouse": ("squeak", "in a hole", "seeds and cheese", 4, "mammal", "grey"),
    "snake": ("hiss", "in the grass", "mice and eggs", 0, "reptile", "green"),
    "fox": ("bark", "in a den in the forest", "mice and berries", 4, "mammal", "red"),
    "bear": ("growl", "in a cave", "fish and honey", 4, "mammal", "brown"),
    "rabbit": ("squeak", "in a burrow", "grass and carrots", 4, "mammal", "white"),
    "goat": ("bleat", "on a mountain farm", "grass and leaves", 4, "mammal", "white"),
    "elephant": ("trumpet", "on the savanna", "leaves and fruit", 4, "mammal", "grey"),
    "ant": (None, "in a nest under the ground", "almost everything", 6, "insect", "black"),
    "spider": (None, "in a web", "flies", 8, "arachnid", "black"),
    "turtle": (None, "by a river", "plants and snails", 4, "reptile", "green"),
    "penguin": ("honk", "on the ice in the south", "fish", 2, "bird", "black and white"),
    "squirrel": ("chatter", "in a tree", "nuts", 4, "mammal", "red"),
    "hedgehog": ("snuffle", "under a hedge", "snails and worms", 4, "mammal", "brown"),
    "seal": ("bark", "on the coast", "fish", 0, "mammal", "grey"),
}

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Austria": "Vienna", "Greece": "Athens", "Poland": "Warsaw", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Ireland": "Dublin", "Belgium": "Brussels", "Hungary": "Budapest",
    "Iceland": "Reykjavik", "Japan": "Tokyo", "China": "Beijing", "India": "New Delhi", "Egypt": "Cairo",
    "Kenya": "Nairobi", "Canada": "Ottawa", "Mexico": "Mexico City", "Brazil": "Brasilia", "Argentina": "Buenos Aires",
    "Peru": "Lima", "Chile": "Santiago", "Cuba": "Havana", "Turkey": "Ankara", "Australia": "Canberra",
    "England": "London", "Switzerland": "Bern", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Ghana": "Accra",
}  # fmt: skip

COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a lemon": "yellow", "a tomato": "red",
    "an orange": "orange", "milk": "white", "the sun": "yellow", "blood": "red", "chocolate": "brown", "a frog": "green",
    "a crow": "black", "a carrot": "orange", "a banana": "yellow", "a cucumber": "green", "the sea": "blue",
    "a strawberry": "red", "a plum": "purple", "ash": "grey", "gold": "yellow", "a flamingo": "pink", "a pea": "green",
    "honey": "golden", "an elephant": "grey", "a cloud": "white", "the night": "black", "lavender": "purple",
}  # fmt: skip

OPPOSITES = """big small, hot cold, up down, left right, day night, good bad, fast slow, old young, happy sad, full empty, light dark,
hard soft, high low, wet dry, open closed, rich poor, strong weak, long short, loud quiet, early late, thick thin, near far,
clean dirty, heavy light, sweet sour, true false, first last, inside outside, above below, begin end, buy sell, give take,
push pull, win lose, black white, summer winter, north south, east west, friend enemy, question answer""".replace("\n", " ")
OPPOSITES = dict(pair.split() for pair in OPPOSITES.split(","))

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
LISTS = {
    "animals": list(ANIMALS),
    "colours": "red blue green yellow black white orange purple brown pink grey".split(),
    "fruits": "apple banana orange lemon plum cherry pear grape melon strawberry peach".split(),
    "countries": list(CAPITALS),
    "vegetables": "carrot potato tomato onion cabbage pea bean cucumber spinach pumpkin".split(),
    "things in a kitchen": "pan pot knife spoon fork plate cup oven kettle bowl".split(),
    "tools": "hammer saw drill spade rake axe screwdriver ladder file brush".split(),
}
NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty""".split()

# term: what it is, in ZeroG
TERMS = {
    "ZeroG": "ZeroG is an open system for storage, data availability and compute, held together by contracts on a chain.",
    "a provider": "A provider is somebody who runs an agent for pay.",
    "an operator": "An operator is the staked identity behind one or more agents.",
    "an agent": "An agent is a program that watches the chain, does the heavy work and posts proofs back.",
    "a sector": "A sector is 256 bytes of a file, the smallest piece that can be asked for in a challenge.",
    "a segment": "A segment is 256 kilobytes of a file, or 1024 sectors.",
    "a shard": "A shard is one erasure-coded piece of a file. Any sixteen of the twenty-four pieces of a large file restore it.",
    "custody": "Custody is the duty of a provider to hold a shard for as long as it has signed for.",
    "a submission": "A submission is an entry of the Flow: it names a file by its root and pays the fee.",
    "a deal": "A deal is a sealed submission: it says who keeps which shard, for how long and at what price.",
    "the Flow": "The Flow is the contract that takes submissions and fees, in order.",
    "a seal": "A seal is the transaction that turns a submission into a deal with named custodians.",
    "a draw": "A draw is a sector picked at random; its custodian must show it in time.",
    "a miss": "A miss is a draw that nobody answered in time. It costs the provider some of its stake.",
    "the pot": "The pot is the money of a period from which answers and reports are paid.",
    "a period": "A period is a fixed number of blocks. Draws, pay and expiry are counted in periods.",
    "an epoch": "An epoch is a longer stretch of blocks for which a committee stays the same.",
    "the Beacon": "The Beacon is the contract that supplies randomness from a block that was fixed beforehand.",
    "a blob": "A blob is data that is published for a while, so that anybody can check that it was available.",
    "a cell": "A cell is a piece of 2048 bytes of a blob, with a proof of its own.",
    "a column": "A column is the cells with the same number of all parts of a blob. A seat of the committee keeps columns.",
    "a seat": "A seat is a place in the committee, given out by stake.",
    "the committee": "The committee is the set of staked nodes that sign for a blob in an epoch.",
    "a receipt": "A receipt is a signed record of one request, its answer and its fee.",
    "a voucher": "A voucher is a signed promise by a user: a ceiling that the provider may never charge beyond.",
    "a dispute": "A dispute is a claim, with proof, that somebody broke the rules. The chain decides it.",
    "slashing": "Slashing takes a part of the stake of an operator that broke a rule.",
    "stake": "Stake is money that an operator locks up and loses if it does not do what it has promised.",
    "delegation": "Delegation means that you lend your stake to an operator and share its rewards.",
    "erasure coding": "Erasure coding adds spare pieces to a file, so that it can be read back when some pieces are lost.",
    "parity": "Parity is the spare part that erasure coding adds to the data.",
    "a Merkle root": "A Merkle root is one hash that stands for a whole file. A short proof shows that a piece belongs to it.",
    "a gateway": "A gateway is a server that speaks the storage protocol for clients that cannot do it themselves.",
    "repair": "Repair means that a provider rebuilds a lost shard from the others and takes over its custody.",
    "alignment": "Alignment nodes are watchers that check the work of everybody else.",
    "a model": "A model is a file of weights that turns an input into an answer. ZeroG stores models and serves them.",
    "a ledger": "A ledger is the contract that keeps the balance of each user for compute.",
    "an escrow": "An escrow keeps the price of a job until the job has been done.",
    "the sealer": "The sealer is an account that the owner of a file has named to seal for it.",
    "an arbiter": "An arbiter decides a job that client and provider do not agree about.",
    "a commitment": "A commitment is a short value that binds somebody to data without showing it.",
}

EXPLAIN = {
    "storage": """First your file is cut into shards, and parity shards are added. Each shard goes to a provider, which checks it,
writes it to disk and signs for it. Then the deal is sealed on chain. In every period the chain draws sectors at random, and
the custodian of each must show it in time. Whoever cannot is slashed, and another provider repairs the shard. As long as
enough shards are left, the file reads back byte for byte.""",
    "data availability": """A disperser takes your data and splits it into blobs, cells and columns, each cell with a proof. Every seat of
the committee gets its columns, checks every cell and signs. When enough columns are signed, the blob is confirmed on
chain. Light clients then sample a few columns at random and check the proofs for themselves. Any half of the columns is enough to
restore everything.""",
    "compute": """A provider pulls a model from storage, checks it against its root and loads it. You put money into your ledger and
send a request. The provider answers and signs a receipt that binds the bytes of the request to the bytes of the answer.
Many receipts are settled together on chain. Your client checks each answer, so you pay only for what you have received.""",
    "staking": """An operator locks stake and allocates parts of it to services. If a service proves a fault, only that part is slashed.
At most half of what is slashed goes to those who reported or repaired, so slashing oneself never pays. Leaving takes a delay,
so that nobody can run away from a fault.""",
    "repair": """When a provider fails, its shards are marked open. Another provider claims one with a bond, fetches enough of the
other shards and rebuilds the missing one. It then proves some sectors that were drawn after the claim. If it is late, the bond is lost.""",
    "an upload": """The client cuts the file, computes its root and asks for the price. It sends the submission with the fee to the Flow.
Then it sends the shards straight to the providers and collects their signatures. The last step is the seal, which
makes the deal. If any step fails, the client goes on from where it was and never pays twice.""",
    "a download": """The client asks the chain for the root and the custodians. It takes the fastest shards, checks every piece against
the root and writes the file. Only when a data shard is missing does it decode from parity.""",
    "the Beacon": """The block whose randomness counts is fixed beforehand. Anybody may prove the seed of that block to the contract
for a small bounty. Without a seed nobody is paid for the period, so it never helps to hide it.""",
}
EXPLAIN = {key: " ".join(text.split()) for key, text in EXPLAIN.items()}

FACTS = [
    (["How many bytes are in a sector?", "How big is a sector?", "What is the size of a sector?", "How large is one sector?"], "A sector is 256 bytes."),
    (["How big is a segment?", "What is the size of a segment?", "How many sectors are in a segment?", "How large is a segment?"], "A segment is 256 kilobytes, or 1024 sectors."),
    (["How many shards may be lost?", "How many lost shards can a file survive?", "How many shards can vanish?"], "With the usual settings any eight shards may vanish and the file still reads back."),
    (["Which language are the contracts written in?", "What are the contracts written in?", "What language do the contracts use?"], "The contracts are written in Solidity."),
    (["Which language are the agents written in?", "What are the agents written in?", "What language do the agents use?"], "The agents are written in TypeScript."),
    (["How do I start ZeroG?", "How can I start a local network?", "How do I run the devnet?", "How do I try ZeroG?"], "Run npm start. It starts a local chain, deploys the contracts and runs the agents."),
    (["How do I run the tests?", "How can I test ZeroG?", "Which command runs the tests?"], "Run npm test. It runs every test, from the contracts to the end."),
    (["How do I store a file?", "How can I upload a file?", "Which command uploads a file?"], "Use the command zerog storage upload and the path of your file."),
    (["How do I get my file back?", "How can I download a file?", "Which command downloads a file?"], "Use the command zerog storage download with the root of the file."),
    (["What happens if a provider loses my file?", "What if a provider fails?", "What happens when a provider goes offline?", "What if a node dies?"], "It misses a draw and is slashed, and another provider repairs its shards. Your file stays readable."),
    (["How does a provider earn money?", "How are providers paid?", "Why would anybody run a provider?"], "Providers are paid per period for the shards they keep, and lose stake if they do not keep them."),
    (["Who can run a provider?", "Can I run a provider?", "What do I need to run a provider?"], "Anybody can. You need a chain endpoint, some stake, a disk and an address that others can reach."),
    (["Is my file encrypted?", "Can others read my file?", "Is my data private?"], "No, not by itself. Encrypt a file before you store it if others must not read it."),
    (["How can I trust the answer of a model?", "How do I check an answer?", "What proves that an answer is real?"], "Each answer comes with a signed receipt. Your client compares it with the bytes that it sent and received."),
    (["How many columns does a blob have?", "How many columns are there?", "What is the number of columns?"], "There are 128 columns, and any 64 of them restore the blob."),
    (["Which license does ZeroG have?", "What is the licence of ZeroG?", "Is ZeroG open source?", "Is ZeroG free?"], "ZeroG is open source under the MIT licence."),
    (["Which chain does ZeroG need?", "Where can the contracts be deployed?", "Which chains are supported?"], "The contracts run on any chain with a recent Ethereum virtual machine."),
]  # fmt: skip

TALK = [
    (["Hello", "Hi", "Hey", "Hello there", "Hi there", "Good day", "Hey there", "Greetings"], ["Hello! How can I help you?", "Hi! What can I do for you?", "Hello! What would you like to know?"]),
    (["Good morning", "Good morning to you"], ["Good morning! How can I help you?"]),
    (["Good evening", "Good evening to you"], ["Good evening! How can I help you?"]),
    (["Good night", "Sleep well"], ["Good night! Sleep well."]),
    (["How are you?", "How are you today?", "How do you do?", "How is it going?", "Are you well?"], ["I am fine, thank you. How are you?", "I am well, thank you. What can I do for you?"]),
    (["Thanks", "Thank you", "Thank you very much", "Thanks a lot", "Many thanks"], ["You are welcome!", "You are welcome. Is there anything else?"]),
    (["Bye", "Goodbye", "See you later", "See you", "I have to go"], ["Goodbye! Have a nice day.", "Goodbye! Come back soon."]),
    (["Who are you?", "What are you?", "Tell me about yourself.", "Are you a robot?", "Are you a human?", "Are you real?"], ["I am a very small language model that ships with ZeroG. I know a few simple things."]),
    (["What is your name?", "Do you have a name?", "What should I call you?", "How are you called?"], ["I have no name. I am the small chat model of ZeroG."]),
    (["What can you do?", "What do you know?", "How can you help me?", "Help", "What can I ask you?", "Can you help me?"], ["I can talk about ZeroG, animals, colours and capitals, add small numbers, count, and tell a story."]),
    (["Who made you?", "Where do you come from?", "How were you made?", "Who trained you?"], ["I was trained by a script in the ZeroG repository, on text that the same script wrote."]),
    (["How old are you?", "When were you born?"], ["I am a model, so I have no age."]),
    (["I am sad", "I feel sad", "I am not happy today", "I feel lonely"], ["I am sorry to hear that. Would you like a story?"]),
    (["I am happy", "I feel great", "I am very happy today"], ["That is good to hear!"]),
    (["I am tired", "I feel tired", "I am so tired"], ["Then take a rest. I will be here."]),
    (["Yes", "Sure", "Yes please"], ["Good. What would you like to know?"]),
    (["No", "No thanks", "Not now"], ["All right. Just ask me when you need something."]),
    (["Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Say something funny."], ["Why did the shard go to school? It wanted to be part of something whole.", "What does a tired provider do? It takes a short period of rest.", "Why was the blob so calm? It knew that it was available."]),
    (["I love you", "I like you", "You are nice", "You are great"], ["Thank you, that is very kind."]),
    (["You are wrong", "That is wrong", "That is not right"], ["I am sorry. I am a very small model and I make mistakes."]),
]  # fmt: skip

BEYOND_WHO = "the president,the tallest person,the king,my neighbour,the best singer,the winner,the mayor,your teacher,the actor in that film,the author of this book,the prime minister,my boss,the world champion".split(",")
BEYOND_WHAT = "the weather like,the time,the stock price,the news today,the meaning of life,quantum physics,the square root of 12345,my password,a good film,the price of bread,the distance to the moon,general relativity,a neutrino,an opera,a sonnet,the best phone,calculus,a recession,a mortgage,the traffic like".split(",")
BEYOND_DO = "write a program,translate this into Latin,book a flight,call my mother,order a pizza,solve this equation,write an essay,play some music,fix my car,draw a picture,send an email,cook dinner,buy a ticket,prove the theorem,read my mail,drive me home,wash the dishes".split(",")
BEYOND = "I do not know that. I am a very small model and I know only a few simple things."
CANNOT = "I cannot do that. I am a very small model that can only talk about a few simple things."


def article(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def join(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


# --- stories -------------------------------------------------------------------------------------------------------

MOODS = "little brave old clever shy kind lazy curious hungry proud quiet cheerful".split()
PLACES = {
    "in a forest": "tree", "by a river": "stone", "on a hill": "path", "near a village": "gate", "by the sea": "shell",
    "in a garden": "flower", "under an old bridge": "plank", "at the edge of a field": "hedge", "in a mill": "wheel",
}  # fmt: skip
HABITS = ["went for a walk", "looked for food", "sang a song", "watched the clouds", "counted the stars", "told jokes to the birds",
          "swam in the cold water", "slept in the sun", "collected small stones", "listened to the wind"]  # fmt: skip
TREASURES = ["a golden key", "a small box", "a silver bell", "a red balloon", "a lost letter", "an old map", "a shiny coin",
             "a broken lamp", "a blue feather", "a book without words"]  # fmt: skip
TROUBLES = [
    ("it began to rain", "the water rose higher and higher", "a boat made of leaves", "the rain stopped"),
    ("it grew dark", "nobody could find the way home", "a lamp full of fireflies", "the way lay clear before them"),
    ("a cold wind blew", "everybody was freezing", "a warm blanket of moss", "the wind grew tired and went away"),
    ("the bridge fell down", "nobody could cross the water", "a rope of long grass", "they all reached the other side"),
    ("a great noise was heard", "everybody ran and hid", "a little courage", "they saw that it was only the old door"),
    ("the well ran dry", "everybody was thirsty", "a song for the clouds", "the water came back"),
]
LESSONS = [
    "a friend is worth more than a treasure", "it is good to share", "small ones can do great things",
    "nobody has to be afraid alone", "patience helps more than strength", "it is wise to keep a copy of what you love",
]  # fmt: skip


def story(rng: random.Random, hero: str | None = None) -> str:
    hero = hero or rng.choice(list(ANIMALS))
    friend = rng.choice([a for a in ANIMALS if a != hero])
    name, other = rng.sample(NAMES, 2)
    place = rng.choice(list(PLACES))
    mood, mood2 = rng.sample(MOODS, 2)
    treasure, habit = rng.choice(TREASURES), rng.choice(HABITS)
    trouble, effect, remedy, end = rng.choice(TROUBLES)
    parts = [
        f"Once upon a time there was {article(mood + ' ' + hero)} named {name} who lived {place}.",
        f"Every day {name} {habit}.",
        rng.choice([
            f"One morning {name} found {treasure} beside {article(PLACES[place])}.",
            f"One evening {name} saw {treasure} behind {article(PLACES[place])}.",
        ]),
        f'"What is this?" asked {name}.',
        f"Just then {article(mood2 + ' ' + friend)} named {other} came along.",
        rng.choice([
            f'"It is mine," said {other}, "but you may keep it if you help me."',
            f'"I have been looking for that," said {other}.',
            f'"Let us find out together," said {other}.',
        ]),
        f"Suddenly {trouble}, and {effect}.",
        f"{name} was afraid, but {other} had an idea." if rng.random() < 0.5 else f"{other} was afraid, but {name} had an idea.",
        f"Together they made use of {remedy}, and soon {end}.",
        f"{name} gave {treasure.split(' ', 1)[1].join(['the ', ''])} to {other}, and they became friends.",
        f"From that day on they knew that {rng.choice(LESSONS)}.",
        "The end.",
    ]  # fmt: skip
    if rng.random() < 0.4:
        del parts[3]
    return " ".join(parts)


# --- exchanges: each returns (kind, question, answer) ------------------------------------------------------------------


def talk(rng):
    asks, answers = rng.choice(TALK)
    return rng.choice(asks), rng.choice(answers)


def term(rng):
    what = rng.choice(list(TERMS))
    ask = rng.choice(["What is {}?", "What does {} mean?", "Explain {}.", "Can you explain {}?", "Tell me about {}.", "What do you know about {}?",
                      "Define {}.", "I do not understand what {} is.", "What exactly is {}?", "Please tell me what {} is."])  # fmt: skip
    bare = what.split(" ", 1)[1] if what.startswith(("a ", "an ")) and rng.random() < 0.1 else what
    if bare != what and ask in ("What is {}?",):
        bare = what
    return ask.format(bare), TERMS[what]


def explain(rng):
    what = rng.choice(list(EXPLAIN))
    ask = rng.choice(["How does {} work?", "Explain how {} works.", "Tell me how {} works.", "Can you explain how {} works?",
                      "Describe how {} works.", "How does {} work in ZeroG?", "Tell me in detail how {} works."])  # fmt: skip
    return ask.format(what), EXPLAIN[what]


def fact(rng):
    asks, answer = rng.choice(FACTS)
    return rng.choice(asks), answer


def animal(rng):
    name, (sound, home, food, legs, kind, colour) = rng.choice(list(ANIMALS.items()))
    a = article(name)
    options = [
        (["Where does {} live?", "Where do I find {}?", "What is the home of {}?", "Where can I see {}?"], f"{a} lives {home}."),
        (["What does {} eat?", "What is the food of {}?", "What should I feed {}?", "What does {} like to eat?"], f"{a} eats {food}."),
        (["How many legs does {} have?", "How many legs has {}?", "What number of legs does {} have?", "Count the legs of {}."],
         f"{a} has {NUMBERS[legs] if legs else 'no'} legs."),
        (["What kind of animal is {}?", "Is {} a bird or a mammal?", "What sort of animal is {}?", "Which kind of animal is {}?"], f"{a} is {article(kind)}."),
        (["What colour is {}?", "Which colour does {} have?", "What is the colour of {}?"], f"{a} is usually {colour}."),
        (["Tell me about {}.", "What is {}?", "What do you know about {}?", "Describe {}."],
         f"{a} is {article(kind)}. It lives {home} and eats {food}."),
    ]  # fmt: skip
    if sound:
        options.append((["What sound does {} make?", "What does {} say?", "Which noise does {} make?", "What is the sound of {}?"],
                        f"{a} says {sound}."))  # fmt: skip
    asks, answer = rng.choice(options)
    return rng.choice(asks).format(a), sentence(answer)


def capital(rng):
    country, city = rng.choice(list(CAPITALS.items()))
    if rng.random() < 0.3:
        ask = rng.choice(["Which country has the capital {}?", "{} is the capital of which country?", "In which country is {}?", "Where is {}?"])
        return ask.format(city), f"{city} is the capital of {country}."
    ask = rng.choice(["What is the capital of {}?", "Which city is the capital of {}?", "Name the capital of {}.", "Tell me the capital of {}.",
                      "What is {}'s capital?", "Do you know the capital of {}?", "The capital of {}?"])  # fmt: skip
    return ask.format(country), f"The capital of {country} is {city}."


def colour(rng):
    thing, tint = rng.choice(list(COLOURS.items()))
    ask = rng.choice(["What colour is {}?", "Which colour is {}?", "What is the colour of {}?", "What color is {}?", "Tell me the colour of {}.", "Which colour does {} have?"])
    if thing[0] == "a" and thing.split()[-1] in ANIMALS:
        return ask.format(thing), sentence(f"{thing} is usually {ANIMALS[thing.split()[-1]][5]}.")
    return ask.format(thing), sentence(f"{thing} is {tint}.")


def opposite(rng):
    a, b = rng.choice(list(OPPOSITES.items()))
    if rng.random() < 0.5 and b not in OPPOSITES:
        a, b = b, a
    ask = rng.choice(["What is the opposite of {}?", "Tell me the opposite of {}.", "What is the contrary of {}?", "Which word is the opposite of {}?", "Name the opposite of {}.", "The opposite of {}?"])
    return ask.format(a), f"The opposite of {a} is {b}."


def calendar(rng):
    words, unit = (DAYS, "day") if rng.random() < 0.5 else (MONTHS, "month")
    i = rng.randrange(len(words))
    if rng.random() < 0.5:
        ask = rng.choice(["What comes after {}?", "Which {u} comes after {}?", "What {u} follows {}?", "What is the {u} after {}?"])
        return ask.format(words[i], u=unit), f"After {words[i]} comes {words[(i + 1) % len(words)]}."
    ask = rng.choice(["What comes before {}?", "Which {u} comes before {}?", "What {u} precedes {}?", "What is the {u} before {}?"])
    return ask.format(words[i], u=unit), f"Before {words[i]} comes {words[i - 1]}."


def arithmetic(rng):
    if rng.random() < 0.65:
        a, b = rng.randrange(21), rng.randrange(21)
        ask = rng.choice(["What is {} plus {}?", "What is {} + {}?", "How much is {} plus {}?", "Add {} and {}.", "{} + {}?", "Compute {} + {}."])
        return ask.format(a, b), f"{a} + {b} = {a + b}"
    a = rng.randrange(21)
    b = rng.randrange(a + 1)
    ask = rng.choice(["What is {} minus {}?", "What is {} - {}?", "How much is {} minus {}?", "{} - {}?", "Compute {} - {}."])
    return ask.format(a, b), f"{a} - {b} = {a - b}"


def compare(rng):
    a, b = rng.sample(range(100), 2)
    bigger = rng.random() < 0.5
    ask = rng.choice(["Which is {}, {} or {}?", "Which number is {}, {} or {}?", "What is {}, {} or {}?"])
    word = rng.choice(["bigger", "larger", "greater"]) if bigger else "smaller"
    return ask.format(word, a, b), f"{max(a, b) if bigger else min(a, b)} is {word} than {min(a, b) if bigger else max(a, b)}."


def count(rng):
    low = rng.choice([0, 1, 1, 1, rng.randrange(90)])
    high = min(low + rng.randrange(2, 40), 100)
    if rng.random() < 0.12:
        low, high = 1, 100
    if rng.random() < 0.25:
        ask = rng.choice(["Count down from {1} to {0}.", "Count backwards from {1} to {0}.", "Can you count down from {1} to {0}?"])
        return ask.format(low, high), ", ".join(map(str, range(high, low - 1, -1))) + "."
    ask = rng.choice(["Count from {} to {}.", "Can you count from {} to {}?", "Please count from {} to {}.", "Name the numbers from {} to {}."])
    return ask.format(low, high), ", ".join(map(str, range(low, high + 1))) + "."


def listing(rng):
    kind, words = rng.choice(list(LISTS.items()))
    n = rng.randrange(2, 9)
    ask = rng.choice(["List {} {}.", "Name {} {}.", "Tell me {} {}.", "Give me {} {}.", "Can you name {} {}?"])
    return ask.format(rng.choice([NUMBERS[n], str(n)]), kind), sentence(join(rng.sample(words, n))) + "."


def tale(rng):
    if rng.random() < 0.2:
        return rng.choice(["Tell me a story.", "Do you know a story?", "Please tell me a story.", "I would like to hear a story."]), story(rng)
    hero = rng.choice(list(ANIMALS))
    ask = rng.choice(["Tell me a story about {}.", "Do you know a story about {}?", "Tell a tale about {}.", "I would like a story about {}.",
                      "Please tell me a story with {}.", "Write a story about {}."])  # fmt: skip
    return ask.format(article(hero)), story(rng, hero)


def say(rng):
    words = rng.choices(sum(LISTS.values(), []) + list(OPPOSITES) + NUMBERS, k=rng.randrange(1, 5))
    text = " ".join(words)
    if rng.random() < 0.3:
        name = rng.choice(NAMES)
        return rng.choice(["Say hello to {}.", "Greet {}.", "Please say hello to {}."]).format(name), f"Hello, {name}!"
    return rng.choice(["Repeat after me: {}", "Say this: {}", "Repeat: {}", "Please repeat: {}", "Echo: {}"]).format(text), text


def beyond(rng):
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice(["Who is {}?", "Do you know {}?", "Tell me about {}.", "What is the name of {}?", "Where is {}?", "How old is {}?"]).format(rng.choice(BEYOND_WHO)), BEYOND
    if kind == 1:
        return rng.choice(["What is {}?", "Can you tell me what {} is?"]).format(rng.choice(BEYOND_WHAT)), BEYOND
    return rng.choice(["Can you {}?", "Please {}.", "I want you to {}.", "Could you {} for me?"]).format(rng.choice(BEYOND_DO)), CANNOT


KINDS = {
    talk: 6, term: 14, explain: 4, fact: 8, animal: 13, capital: 9, colour: 4, opposite: 6, calendar: 5, arithmetic: 10,
    compare: 4, count: 5, listing: 4, tale: 5, say: 6, beyond: 5,
}  # fmt: skip
# For a second round of training: more of what has to be worked out, less of what only has to be known.
PRACTICE = {
    talk: 2, term: 5, explain: 1, fact: 4, animal: 5, capital: 4, colour: 2, opposite: 3, calendar: 2, arithmetic: 26,
    compare: 14, count: 9, listing: 9, tale: 1, say: 14, beyond: 2,
}  # fmt: skip


def is_heldout(question: str) -> bool:
    """One question in twenty, chosen by its letters and digits alone: another spelling of it is set aside as well."""
    letters = "".join(c for c in question.lower() if c.isalnum())
    return hashlib.sha256(letters.encode()).digest()[0] < 13


def exchange(rng: random.Random, heldout: bool = False, kind=None, kinds=None) -> tuple[str, str, str]:
    """(kind, question, answer) from the training side of the split, or from the held-out side."""
    kinds = kinds or KINDS
    draw = kind or rng.choices(list(kinds), list(kinds.values()))[0]
    for _ in range(10_000):
        question, answer = draw(rng)
        if is_heldout(question) == heldout:
            return draw.__name__, question, answer
    raise ValueError(f"{draw.__name__} has no question on that side of the split")


def roughen(rng: random.Random, question: str) -> str:
    """The ways people type: lower case, no full stop, a greeting or a please before the question."""
    roll = rng.random()
    if roll < 0.12 and question[1:2].islower():
        question = question[0].lower() + question[1:]
    if rng.random() < 0.12 and question[-1] in "?.":
        question = question[:-1]
    if roll > 0.94:
        question = rng.choice(["Hello! ", "Hi! ", "Hi, ", "Please: ", "One more question: ", "And now: "]) + question
    return question


SYSTEMS = [
    "You are a helpful assistant.", "You are a friendly assistant.", "You are the chat model of ZeroG.", "Answer briefly.",
    "You are a helpful assistant. Answer briefly and truthfully.", "Be kind.", "You answer questions about ZeroG.",
]  # fmt: skip


def memory(rng) -> list[tuple[str, str]]:
    """A name or a favourite thing, told and asked for again with other exchanges in between."""
    if rng.random() < 0.6:
        name = rng.choice(NAMES)
        told = rng.choice(["My name is {}.", "I am {}.", "Hello, my name is {}.", "Call me {}.", "Hi, I am {}."]).format(name)
        first = (told, rng.choice([f"Nice to meet you, {name}.", f"Hello, {name}! How can I help you?"]))
        asked = (rng.choice(["What is my name?", "Do you remember my name?", "Who am I?", "What am I called?"]), f"Your name is {name}.")
    else:
        kind = rng.choice(["animal", "colour", "fruit"])
        thing = rng.choice(LISTS[kind + "s"])
        first = (rng.choice([f"My favourite {kind} is {article(thing) if kind != 'colour' else thing}.", f"I like the {kind} {thing}."]), f"I like the {kind} {thing} as well.")
        asked = (rng.choice([f"What is my favourite {kind}?", f"Which {kind} do I like?", f"Do you remember my favourite {kind}?"]), f"Your favourite {kind} is {thing}.")
    between = [exchange(rng, kind=rng.choice([talk, capital, colour, opposite, arithmetic, animal]))[1:] for _ in range(rng.randrange(3))]
    return [first, *between, asked]


def conversation(rng: random.Random, kinds=None) -> list[dict]:
    """Messages of one dialogue, as chat templates take them; `kinds` weighs the kinds of question."""
    roll = rng.random()
    if roll < 0.10:
        turns = memory(rng)
    else:
        turns = [exchange(rng, kinds=kinds)[1:] for _ in range(1 if roll < 0.55 else rng.randrange(2, 6))]
        if roll > 0.85:
            turns.insert(0, talk(rng))
    messages = [{"role": "system", "content": rng.choice(SYSTEMS)}] if rng.random() < 0.2 else []
    for question, answer in turns:
        messages += [{"role": "user", "content": roughen(rng, question)}, {"role": "assistant", "content": answer}]
    return messages
