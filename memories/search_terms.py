"""Which words of a question say what to look for. Pure; some dozen languages, and harmless in the others."""

import regex


def search_terms(text: str) -> str:
    """The words of a question that say what to look for; "" if it has none, as in "What did I say?".

    Question words, auxiliaries, pronouns and words of telling go, in the language most of them belong to. Pass a text
    whose time phrase is already gone (`TimePhrase.rest`) if that was understood.
    """
    words = regex.findall(r"[\p{L}\p{N}\p{M}]+(?:['’.,:/@_-][\p{L}\p{N}\p{M}]+)*", _UNSPACED.sub(" ", text))
    folded = [word.replace("’", "'").lower() for word in words]
    language = max(_STOP_WORDS, key=lambda each: sum(word in _STOP_WORDS[each] for word in folded))
    kept = [word for word, plain in zip(words, folded, strict=True) if plain not in _STOP_WORDS[language]]
    return " ".join(_ELISION.sub("", word) for word in kept) if language in ("fr", "it") else " ".join(kept)


# Question words of languages that write words together.
UNSPACED_QUESTIONS = (
    r"เมื่อไหร่|เมื่อไร|ที่ไหน|ใคร(?!ๆ)|อะไร|เท่าไหร่|เท่าไร|ทำไม|ยังไง|ไหม$|มั้ย$|หรือเปล่า",
    r"いつ(?![もか])|どこ(?![かも])|誰(?![かも])|何(?![かもでと度回])|なに(?![かも])|いくら|いくつ|どれ|どの|なぜ|どうして",
    r"(?:です|ます|でした|ました|だった|った)か$|っけ$|かな$",
    r"什么时候|什麼時候|何时|哪$|哪[里裡儿天个個]|几[点號号月岁]|幾[點號]|怎么|怎麼|为什么|為什麼|(?<!没|沒)什[么麼](?!都)|多少|[谁誰](?![都かも])|[吗嗎呢]$",
    r"언제(?![나든])|어디(?!든)|누구(?!나)|누가|무엇|뭐(?!든)|뭘|무슨|몇 ?[시월일살명개]|얼마|어떻게|어느"
    r"|(?:나요|까요|가요|니까|더라)$",
)
STOP_WORDS = {
    "en": (
        "a an the i me my mine we us our ours you your yours he him his she her hers it its they them their theirs this "
        "that these those there here what what's whats when when's where where's who who's whom whose which why how "
        "how's is are was were am be been being do does did doing don't didn't doesn't have has had haven't can could "
        "will would shall should may might must i've i'd i'm i'll we've you've it's that's there's isn't wasn't of for to "
        "from in on at with by as about into over under and or but if so than then too also not no any anything "
        "anyone anybody some something everything all say said saying tell told telling mention mentioned write wrote "
        "written note noted notes save saved remember remembered remind know knew known ask asked talk talked find "
        "search look show list give recall forget forgot happened happen going again please thanks thank hi hey hello "
        "ok okay up out s t re ll ve d m memory memories message messages"
    ),
    "es": (
        "el la los las lo un una unos unas de del al a en con por para sobre y o e u que qué quien quién quienes cual cuál "
        "cuando cuándo cuanto cuánto cuantos cuántos donde dónde como cómo mi mis me te tu tus su sus se yo es son era "
        "fue fui está están hay he has ha dije dijo dijiste conté contado dicho tengo tenía sé sabes recuérdame dime "
        "busca acerca hola por favor algo nos"
    ),
    "pt": (
        "o a os as um uma uns umas de do da dos das em no na nos nas com por para sobre e ou que quem qual quais quando "
        "quanto quantos onde como meu minha meus minhas me te seu sua eu você é são era foi está estão há disse falei "
        "contei dito tenho tinha sei sabe lembra procura oi olá por favor algo"
    ),
    "fr": (
        "le la les l un une des du de d à au aux en dans avec par pour sur et ou que qu quoi qui quel quelle quels quelles "
        "quand combien où comment pourquoi est-ce qu'est-ce mon ma mes ton ta tes son sa ses me te se je j j'ai tu il elle "
        "on nous vous est sont était a ai as ai-je dit dis raconté fait ce cette ces c'est dis-moi cherche rappelle-moi "
        "propos bonjour s'il plaît qu'ai-je"
    ),
    "de": (
        "der die das den dem des ein eine einen einem einer in im an am auf mit von vom zu zum zur für über und oder was "
        "wer wen wem wann wo wie warum welche welcher welches wieviel viel viele mein meine meinen meinem meiner dein "
        "deine ich mich mir du dich dir er sie es wir ist sind war waren habe hab hast hat haben gesagt erzählt erwähnt "
        "notiert kannst sag suche finde zeig bitte hallo etwas dass"
    ),
    "it": (
        "il lo la i gli le l un uno una di del della dei delle a al alla in nel nella con per su sul sulla e o che chi "
        "cosa quale quali quando quanto quanti dove dov'è come perché mio mia miei mie mi ti si io è sono era ho hai ha "
        "detto raccontato dimmi cerca ricordami ciao qualcosa"
    ),
    "nl": (
        "de het een van in op aan met voor over en of wat wie waar wanneer hoe hoeveel welke welk waarom mijn m'n ik me je "
        "jij u hij zij is zijn was waren heb hebt heeft gezegd verteld zei zoek vind vertel alsjeblieft iets"
    ),
    "ru": (
        "и в во на с со о об к у за по из для что кто кого кому когда где куда какой какая какое какие сколько почему как "
        "чей мой моя моё мои моей моего моём мне меня я ты он она мы вы это был была было были есть ли говорил говорила "
        "сказал сказала рассказывал рассказывала напомни найди покажи привет пожалуйста про"
    ),
    "hi": (
        "मैं मैंने मुझे मेरा मेरी मेरे हम आप तुम का की के को में से पर ने है हैं था थे थी हो क्या कब कहाँ कहां कौन कितना कितने "
        "कितनी क्यों कैसे किस किसने और या यह वह कहा बताया बारे maine mujhe mera meri mere kya kab kahan kahaan kaun kitna "
        "kyun kaise kisne ka ki ke ko mein me se par ne hai hain tha thi kaha bataya bare baare batao"
    ),
    "he": "את של על עם אל מה מי מתי איפה איך כמה למה איזה איזו האם אני לי שלי אתה הוא היא זה היה הייתה אמרתי סיפרתי תזכיר",
    "ar": "في من على إلى الى عن مع ما ماذا متى أين اين كيف كم هل لماذا هو هي أنا لي كان كانت قلت أخبرتك هذا هذه التي الذي",
}
_ELISION = regex.compile(r"^(?:l|d|j|m|t|s|n|c|qu|dell|all|nell|un)['’]", regex.IGNORECASE)
_UNSPACED = regex.compile("|".join(f"(?:{pattern})" for pattern in UNSPACED_QUESTIONS))
_STOP_WORDS = {language: frozenset(words.split()) for language, words in STOP_WORDS.items()}
