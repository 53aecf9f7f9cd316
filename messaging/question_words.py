"""How questions begin, end or sound in many languages, and how people ask for something to be remembered.

Alternatives of regular expressions over lower-case text with straight apostrophes. Accents stay: Spanish "cuándo" asks,
"cuando" need not. A word that also begins statements ("When I was in Rome …") counts only before a word that makes
it a question ("when is …").
"""

from memories.search_terms import UNSPACED_QUESTIONS

_BE = r"is|are|was|were|am|do|does|did|have|has|had|can|could|will|would|shall|should|must|may|might"
_AUX = rf"(?:{_BE}|(?:is|are|was|were|do|does|did|have|has|had|ca|could|wo|would|should)n't)"
_WHO = r"(?:i|you|he|she|it|we|they)"
# A comma means "when … , …": a clause, and then the statement.
_NO_COMMA = r"(?![^?]*[,،，])"

STARTS = (
    # English
    rf"(?:when|where|why)(?: (?:exactly|else|again|on earth|the hell))?(?:'(?:s|re|d|ll)| {_AUX})\b",
    rf"who(?:'s|m|se)?\b(?! (?:{_WHO}|knew|knows|cares|would have)\b)",
    rf"what(?:'(?:s|re|d|ll)| {_AUX})\b(?! more\b)|what (?:happened|else|about|for)\b",
    rf"what (?!(?:an?|if|matters|counts|happens|helps|remains|bothers|worries)\b)(?:(?!{_WHO}\b)\S+ ){{1,6}}{_AUX}\b",
    r"what (?:made|makes|came|caused|brought|\w+ed)\b(?!.*\b(?:is|are|was|were)\b)",
    rf"(?:in|at|for|from|on|to|with|by|about|of) (?:what|which|whom|whose|how (?:long|many|much))\b(?! (?:case|point|{_WHO})\b)",
    rf"what {_WHO} (?:said|told|wrote|mentioned|noted|saved)\b(?!.*\b(?:is|are|was|were)\b)",
    rf"how(?:'(?:s|re|d|ll)| {_AUX})\b|how (?:to|come|about)\b",
    rf"how (?:many|much|old|long|far|often|tall|big|late|early|high|deep|heavy|fast|soon)\b(?! {_WHO}\b)",
    rf"which\b(?! (?:is why|means|meant|reminds|made|makes|{_WHO})\b)",
    r"(?:do|did|am|can|could|should|would|have|had|may|shall) (?:i|we)\b",
    r"(?:do|did|are|were|can|could|will|would|have|had|should|aren't|don't|didn't|can't|haven't) (?:you|they)\b",
    r"(?:does|did|is|was|can|could|will|would|has|should|isn't|wasn't|doesn't|didn't|hasn't) (?:he|she)\b",
    r"(?:what|where|when|who|how)s\b|was i\b|were (?:we|the|my|our)\b",
    r"(?:isn't|aren't|wasn't|weren't|doesn't|didn't|hasn't) (?:the|my|our|his|her|their)\b",
    r"has (?:the|my|our|his|her|their) \w+ (?:\w+e[dn]|come|gone|paid|left|sent)\b",
    r"(?:does|is|was|will|has|isn't|wasn't|doesn't|did|could|would) it \w",
    r"(?:is|are|was|were|will|isn't|aren't) there\b|(?:is|are) (?:my|our|the|his|her|their|any|that|this|\w+'s)\b",
    r"(?:do|does|did|is|are|has|have|can|will|was) (?:any|some|every)(?:one|body|thing)?\b",
    r"does\b|has (?!(?:been|to|an?|the|had|got)\b)\w+ ",
    r"did (?:my|our|the|his|her|their) (?:\w+ ){1,2}(?:say|tell|call|come|go|write|send|give|like|want|need|ask|pay"
    r"|leave|arrive|answer|reply|agree|accept|confirm|sign|fix|bring|make|put|mention|buy|get|move|work|start|end|change|cost)\b",
    r"any (?:idea|clue|news|notes?|chance|memor(?:y|ies))\b|any(?:thing|one|body) (?:about|from|on|else)\b",
    r"everything (?:about|from|i (?:said|told|saved|wrote))\b",
    r"remind me (?:what|when|where|who|whose|which|how|why|of|about|if|whether)\b|tell me\b",
    r"(?:find|look up|look for|search (?:for|my|through|all|the|in|everything))\b(?! (?:an?|out|time|some|someone|new|another|party)\b)",
    r"(?:show|list|give) (?:me |us )?(?:my|all|the|every|everything|what|any|a list)\b|show me\b|recall (?:what|when|where|who|how)\b",
    r"(?:i(?:'d| would)? (?:want|like|need) to know|check) (?:what|when|where|who|which|how|why|if|whether)\b",
    # Spanish
    r"(?:a|de|en|con|para|por|desde|hasta)? ?(?:qué|quién(?:es)?|cuál(?:es)?|cuándo|cuánt[oa]s?|a?dónde|cómo)\b",
    r"(?:a |de )?(?:que|quien|cual|cuando|cuanto|donde|como) (?:es|son|era|fue|está|esta|están|tengo|tenía|hay|hice"
    r"|dije|puse|dejé|deje|guardé|aparqué|aparque|compré|vive|cumple|se llama|día|dia|hora"
    rf"|(?:te|me) (?:dije|dijo|dijiste|conté|conte))\b{_NO_COMMA}",
    r"(?:dime|cuéntame|cuentame|búscame|busca|muéstrame|muestrame|enséñame)\b|tengo (?:algo|algun[oa]?)\b",
    r"recu[ée]rdame (?:qué|que|cuándo|cuando|dónde|donde|quién|quien|cómo|cuál)\b",
    # Portuguese
    r"o que\b(?! (?:importa|interessa|mais|vale)\b)|que (?:dia|horas?)\b|(?:quem|qual|quais|quant[oa]s?|a?onde|cad[êe])\b(?! (?:moro|vivo|há)\b)",
    rf"quando (?:é|foi|será|são|começa|vence|tenho|vou|eu (?:tenho|vou|disse|falei))\b{_NO_COMMA}",
    r"como (?:é|se chama|foi|está|eu)\b|por que\b|(?:me diga|diga-me|me fala|procur[ae]|busque|mostr[ae])\b",
    r"me lembr[ae] (?:o que|quando|onde|quem|qual)\b|eu (?:tenho|disse) (?:alg|que|o que)",
    # French
    r"(?:où(?! que)|combien|pourquoi|lequel|laquelle|est-ce|qu'est|qu'ai|qu'a)\b|c'est (?:quand|où|quoi|qui)\b",
    r"(?:quand|qui|que|ou|comment|de quoi|à qui|avec qui|à quoi) (?:est|es|ai|a|as|sont|était|dois|doit|faut|m'a|t'ai"
    rf"|c'est|aura|sera|commence|part|arrive|s'appelle|vient|faire|va|fait)(?:-\w+)*\b{_NO_COMMA}",
    r"(?:à )?quel(?:le)?s? (?:est|sont|était|jour|heure|date|numéro|nom|âge|ai|couleur|temps)\b|\p{L}+-(?:je|tu|t-il|t-elle)\b",
    r"(?:dis-moi|montre-moi|donne-moi|cherche|trouve|raconte-moi)\b|rappelle-moi (?:ce|quand|où|qui|quel|comment)",
    # German
    r"(?:wann|wo|wohin|woher|wer|wen|wem|wessen|warum|wieso|weshalb|womit|worüber|welche[rsmn]?|wie ?viele?|um wie viel)\b"
    rf"{_NO_COMMA}",
    r"was (?:habe?|hat|hast|haben|ist|sind|war|waren|soll|muss|kann|wei(?:ß|ss)t?|kostet|steht|mache?|wollte|sagte|gibt"
    r"|wird|wurde)\b",
    r"wie (?:hei(?:ß|ss)t|hie(?:ß|ss)|ist|war|lange|alt|oft|groß|geht|komme|spät|mache?|lautet|weit|hoch)\b",
    r"(?:habe?|hatte|muss|soll|kann|darf|bin|war|werde) ich\b|(?:hast|bist|kannst|weißt|kennst) du\b",
    r"(?:ist|sind|hat) (?:mein|meine|der|die|das|es|er|sie|unser|unsere)\b",
    r"(?:sag mir|suche?(?= (?:nach|mir|mein|d[iea]|all))|finde|zeige?(?: mir)?|erzähl mir)\b|erinnere? mich,? (?:daran,? )?(?:was|wann|wo|wer|wie)\b",
    # Italian, Dutch
    r"(?:dove|dov'è|quand'è|(?:a |di |con |per )?chi|quale?|quali|quant[oaie]|perché|cosa|che cosa|cos'è|com'è)\b|che (?:ora|ore|giorno)\b",
    rf"quando (?:è|sono|ho|era|devo|parte|comincia|arriva|compie)\b{_NO_COMMA}|come (?:si chiama|sta|è|faccio|ho)\b",
    r"(?:dimmi|cercami|cerca|trova|mostrami)\b|ricordami (?:cosa|quando|dove|chi|che|come)\b",
    r"(?:wanneer|waar|wat|wie|hoe|waarom|welke?) (?:is|zijn|was|waren|heb|hebt|heeft|had|moet|moeten|kan|kun|ligt|staat"
    r"|zei|ben|doe|vertelde|kost|heet|gaat|laat|lang|oud|vaak|dag|tijd)\b|hoeveel\b",
    r"(?:heb|moet|kan|zal) ik\b|is mijn\b|(?:zeg me|vertel me|zoek|vind|laat me zien)\b",
    # Scandinavian languages, Finnish
    r"(?:när|var|vem|vad|vilke[nt]|vilka|hur|varför) (?:är|var|har|hade|ska|sa|gjorde|ligger|bor|heter|kostar|mycket"
    r"|många|lång|gammal|fyller|börjar|parkerade|kan|måste|la)\b",
    r"(?:hvornår|hvem|hvordan|hvorfor)\b|(?:når|hvor|hvad|hva|hvilke[nt]) (?:er|var|har|havde|hadde|skal|sagde|sa|ligger"
    r"|bor|hedder|heter|koster|mange|meget|mye|parkerede|parkerte|kan|må|gjorde|lang|gammel)\b",
    r"(?:milloin|missä|mistä|mihin|kuka|kenen|mikä|mitä|montako|kuinka|miksi|miten)\b",
    # Slavic languages
    r"(?:где|куда|откуда|кто|кого|кому|сколько|почему|зачем|како[йе]|какая|какие|чей|чья|во сколько|в каком|у кого|с кем"
    rf"|о ч[её]м|на какой)\b{_NO_COMMA}|как (?:зовут|называется|давно|мне|часто|мы)\b",
    rf"(?:когда|коли|kiedy)\b{_NO_COMMA}|что (?:я|мне|мы|ты|он|она|было|такое|делать)\b{_NO_COMMA}",
    r"напомни(?:те)?(?: мне)?,? (?:что|когда|где|кто|какой|как|о)\b|(?:найди|покажи|расскажи|скажи)(?:те)?\b",
    r"(?:де|куди|хто|скільки|чому|який|яка|яке|які|чи|що (?:я|мені|ми))\b",
    r"(?:gdzie|kto|komu|ile|dlaczego|jaki|jaka|jakie|który|która|czy|co (?:m[óo]wił\w*|powiedział\w*|mam|jest|to))\b",
    r"jak (?:się|ma|nazywa|długo|często)\b|przypomnij mi,? (?:co|kiedy|gdzie|kto)\b|(?:kdy|kde|kdo|kolik|proč|jaký|jaká)\b",
    # Hebrew, Arabic
    r"(?:מתי|איפה|היכן|מי(?! ש)|מה(?! ש)|איזה|איזו|אילו|כמה|למה|מדוע|איך|האם|לאן|מאיפה|למי|של מי|עם מי|חפש|תגיד לי|ספר לי)\b",
    r"תזכיר(?:י)? לי (?:מה|מתי|איפה|מי|איך|את)\b",
    r"(?:متى|أين|اين|وين|ماذا|هل|كم|كيف|لماذا|ليش|مين|لمن|شو|ايش|إيش|ابحث|أخبرني)\b|ذكرني (?:متى|أين|بما|ماذا)\b",
    r"(?:من|ما) (?:هو|هي|هم|قال|اسم|رقم|موعد|عنوان|الذي|كان)\b",
    # Indonesian, Greek, Romanian, Hungarian
    r"(?:kapan|di ?mana|ke ?mana|siapa|apa(?:kah)?(?! pun)|berapa|mengapa|kenapa|bagaimana|cari(?:kan)?)\b",
    r"(?:πότε|πού|ποι(?:ος|α|ο|οι)|τι|πόσ[οαη]|γιατί|πώς)\b|(?:când|unde|cine|cât|câți|de ce|care este|ce (?:am|este))\b",
    r"(?:mikor|hol|hova|kinek|melyik|mennyi|hány|miért|hogyan)\b",
)
# Words before a question that change nothing.
LEAD_INS = (
    r"(?:(?:hi|hello|hey|hola|thanks|ok|okay|so|and|but|well|also|then|now|sorry|um+|hmm+|please|pls|by the way|btw"
    r"|(?:quick )?question|y|e|et|und|а|и)[\s,:]+)+"
)
# Where the question word may stand anywhere in the sentence.
ANYWHERE = (
    r"(?<!\w)(?:कब|कहाँ|कहां|कौन|क्या|कितना|कितने|कितनी|क्यों|कैसे|किसने|किसका|किसको|किस)(?!\w)",
    r"\b(?:kab|kahaa?n|kaun|kya|kitn[aei]|kyo?u?n|kisne|kiska)\b(?=.*\b(?:hai|hain|tha|thi|the|ho|kiya|kaha|bataya)\b)",
    r"\b(?:ne zaman|nerede|nereye|ne kadar|kaç|hangi|neden|nasıl)\b|\bm[ıiuü](?:y[ıiuü]m|s[ıiuü]n)?$",
    r"\bли\b|(?<!\w)(?:کجا|چه وقت|چند|چرا|آیا|کدام|کی است|کب|کہاں|کون|کیا|کتنا|کیوں)(?!\w)",
    r"(?<!\w)(?:কখন|কবে|কোথায়|কত|কেন|எப்போது|எங்கே|யார்|என்ன|எவ்வளவு|ఎప్పుడు|ఎక్కడ|ఎవరు)(?!\w)",
    r"(?:khi nào|bao giờ|ở đâu|là ai|là gì|bao nhiêu|mấy giờ|tại sao)\b|\b(?:lini|wapi|nani|ngapi|kwa nini)\b",
    *UNSPACED_QUESTIONS,
)
# A question mark after these asks for a nod, not for a memory: "My flight is at 9, ok?"
TAGS = r"[,;.،]\s*¿?(?:ok|okay|alright|got it|understood|vale|tá|tá bom|né|d'accord|ja|va bene|ладно|ठीक है|theek hai)\s*\?$"

_ASKING = (
    r"(?:(?:hey|hi|ok|okay|please|pls|plz|just|and|so|also|now|kindly|can you|could you|will you|would you"
    r"|i (?:want|need) you to|i'd like you to)[\s,]+)*"
)
_THIS = r"(?:\s+(?:this|the following|it|for me|down|please))*"
_VERBS = r"is|are|was|were|am|has|have|had|likes?|lives?|will|needs?|wants?|hates?|loves?|works?|prefers?|can|does|did"
# What comes before the thing to remember.
REQUESTS = (
    rf"{_ASKING}(?:remember|note|save|store|keep in mind|bear in mind|memori[sz]e|record|log|write|jot"
    rf"|make a (?:note|memo)|take a note|don'?t (?:ever )?forget|do not forget){_THIS}(?:\s+that\b|\s*[:：]|\s+-)\s*",
    rf"{_ASKING}(?:note to self|for the record|memo|fyi|ps)\s*[:,–-]\s*",
    rf"{_ASKING}remember\s+(?=(?:my|our|the|his|her|their|i|i'm|we|he|she|they|it|it's|there|\w+)\b.*\b(?:{_VERBS})\b)"
    r"(?!(?:what|when|where|who|whose|which|how|why|if|to|me|this)\b)",
    r"(?:por favor,? )?(?:recuerda|recuérda(?:me)?|anota|apunta|guarda|acuérdate de|no olvides|ten en cuenta)(?: esto)?"
    r"(?:\s*:| que\b)\s*",
    r"(?:por favor,? )?(?:lembr[ae](?:-se)?(?: de)?|anot[ae](?: aí)?|guard[ae]|salv[ae]|não esque[cç]a(?: de)?)"
    r"(?: isso| isto)?(?:\s*:| que\b)\s*",
    r"(?:s'il te plaît,? )?(?:souviens-toi|rappelle-toi|retiens|notez?|enregistre|n'oublie pas)(?: ça| ceci)?"
    r"(?:\s*:\s*| que\s+| qu')",
    r"(?:bitte )?(?:merke? dir|notiere?|notier dir|speichere?|vergiss nicht|denke? daran)(?: bitte)?(?: das| dies)?\s*:\s*",
    r"(?:per favore,? )?(?:ricorda(?:ti)?|annota|segna(?:ti)?|salva|non dimenticare)(?: questo)?(?:\s*:| che\b)\s*",
    r"(?:onthoud|noteer|bewaar|vergeet niet)(?: alsjeblieft)?\s*:\s*",
    r"(?:пожалуйста,? )?(?:запомни|запиши|не забудь|сохрани)(?:те)?(?:,? пожалуйста)?(?:\s*:|,? что\b)\s*",
    r"(?:कृपया )?(?:याद रखना|याद रखो|याद रखें|नोट करो|नोट कर लो|लिख लो)(?: कि(?!\w)|\s*[:,])\s*",
    r"yaad rakh(?:na|o)(?: ki\b|\s*[:,])\s*",
    r"(?:תזכור|תזכרי|זכור|רשום|תרשום|תרשמי)(?:\s*:\s*| ש)",
    r"(?:من فضلك )?(?:تذكر|تذكّر|سجل|احفظ|لا تنس)(?:\s*:| أن(?!\w)| ان(?!\w))\s*",
    r"[请請]?(?:帮我|幫我)?(?:记住|記住|记下|記下|别忘了|別忘了)[:：,，]?\s*",
)
REQUEST_AFTER = (
    r"(?:\s*[,;.–-]\s*(?:please |pls )?(?:remember|note|save|store|keep|don'?t forget)(?: (?:this|that|it))?"
    r"(?: for me)?(?:,? please)?|(?:ということ)?[をと]?覚えて(?:おいて)?(?:ください|ね)?)\s*[.!。]*$"
)
# "Remember to call mum" is kept as it is, but is no question either.
TO_DO = rf"{_ASKING}(?:remember|remind me|don'?t (?:let me )?forget|make sure)\s+to\b"
