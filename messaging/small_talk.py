"""Greetings, thanks and other messages that are neither something to keep nor something to look up.

Alternatives of regular expressions, lower case, one line for each language or kind.
"""

PHRASES = (
    r"hi+|hello+|hey+|heya|hiya|yo|howdy|sup|what'?s up|wassup|greetings",
    r"(?:very )?good (?:morning|afternoon|evening|night|day)|morning|evening|gm|gn",
    r"how (?:are|r) (?:you|u)(?: doing)?(?: today)?|how'?s it going|how do you do|nice to meet you",
    r"thank(?:s|you| you| u)?|thx|ty|tysm|cheers|much appreciated|appreciate it|you'?re welcome|np|no problem",
    r"ok+|okay|okey|k+|sure|yes|yeah|yea|yep|yup|no|nope|nah|right|alright|all right|fine|good|got it|understood|noted",
    r"cool|great|nice|perfect|awesome|amazing|lovely|excellent|well done|good job|wow|lol|ha(?:ha)+|he(?:he)+|oh|ah|hmm+",
    r"bye(?: bye)?|goodbye|see (?:you|ya)(?: later| soon| tomorrow)?|later|good luck|sorry|please|welcome|congrats",
    r"help|start|test(?:ing)?|who are you|what are you|what (?:can|do) you do|how does (?:this|it) work",
    r"hola|buen[oa]s(?: d[ií]as| tardes| noches)?|qu[eé] tal|c[oó]mo est[aá]s|(?:muchas |mil )?gracias|vale|de acuerdo"
    r"|s[ií]|adi[oó]s|hasta (?:luego|pronto|mañana)|chao|chau|perfecto|genial|por favor",
    r"oi+|ol[aá]|bom dia|boa (?:tarde|noite)|tudo bem|(?:muito )?obrigad[oa]|valeu|beleza|tchau|sim|n[aã]o|at[eé] logo",
    r"bonjour|bonsoir|salut|coucou|(?:comment )?[çc]a va|merci(?: beaucoup)?|d'accord|oui|non|au revoir|[àa] bient[ôo]t"
    r"|parfait|super|s'il (?:te|vous) pla[iî]t",
    r"hallo|guten (?:morgen|tag|abend)|gute nacht|moin|servus|grüß gott|wie geht'?s(?: dir)?|danke(?: ?schön| dir)?"
    r"|vielen dank|ja|nein|tsch(?:ü|ue)ss?|bis (?:bald|später)|alles klar|prima|bitte",
    r"ciao|buongiorno|buonasera|buonanotte|salve|come (?:stai|va)|grazie(?: mille)?|va bene|s[ìi]|arrivederci|perfetto",
    r"hoi|goede(?:morgen|middag|n ?avond)|dank (?:je|u)(?: wel)?|dankjewel|bedankt|doei|tot ziens|oké",
    r"привет|здравствуй(?:те)?|добр(?:ое утро|ый день|ый вечер)|как дела|(?:большое )?спасибо|да|нет|хорошо|ок|ладно|пока"
    r"|до свидания|пожалуйста|привіт|дякую|так|ні",
    r"cze[sś][cć]|dzie[nń] dobry|dobry wiecz[oó]r|hej(?:san)?|dzi[eę]ki|dzi[eę]kuj[eę]|tak|nie|do widzenia",
    r"merhaba|selam|günaydın|iyi (?:günler|akşamlar|geceler)|nasılsın|teşekkür(?:ler| ederim)|sağ ?ol|tamam|evet|hayır",
    r"नमस्ते|नमस्कार|धन्यवाद|शुक्रिया|ठीक है|हाँ|हां|नहीं|अच्छा|आप कैसे हैं|namaste|namaskar|dhanyav?aa?d|shukriya"
    r"|th(?:ee|i)k hai|haan|nahi|acc?ha|kaise ho",
    r"שלום|היי|הי|בוקר טוב|ערב טוב|לילה טוב|מה (?:שלומך|נשמע|קורה)|תודה(?: רבה)?|כן|לא|בסדר|סבבה|להתראות|ביי",
    r"مرحبا|مرحبًا|مرحباً|أهلا|اهلا|أهلا وسهلا|السلام عليكم|وعليكم السلام|صباح الخير|مساء الخير|كيف حالك|شكر[اًا]+(?: جزيلا)?"
    r"|نعم|لا|حسنا|تمام|مع السلامة|سلام|ممنون|مرسی|بله|نه|شکریہ|خدا ?حافظ",
    r"halo|hai|selamat (?:pagi|siang|sore|malam)|apa kabar|terima kasih|makasih|ya|tidak|oke|xin chào|chào|cảm ơn|vâng",
    r"สวัสดี(?:ครับ|ค่ะ|คะ)?|ขอบคุณ(?:มาก)?(?:ครับ|ค่ะ|นะ)?|ครับ|ค่ะ",
    r"こんにちは|こんばんは|おはよう(?:ございます)?|ありがとう(?:ございます|ございました)?|はい|いいえ|了解(?:です)?|わかりました"
    r"|どうも|おやすみ(?:なさい)?|さようなら|元気(?:ですか)?",
    r"[你您]好(?:吗|嗎)?|早上好|下午好|晚上好|早安|晚安|早|[谢謝][谢謝](?:[你您])?|多[谢謝]|好的?|是的?|嗯+|再[见見]|哈哈+|在[吗嗎]",
    r"안녕(?:하세요|히 가세요)?|감사(?:합니다|해요)|고마워(?:요)?|고맙습니다|네|아니요|응|알겠습니다|잘 지내(?:요|세요)?",
    r"γεια(?: σου| σας)?|καλημέρα|καλησπέρα|καληνύχτα|ευχαριστώ|ναι|όχι|εντάξει",
    r"god (?:morgon|morgen|kveld|dag|natt)|tack(?: så mycket)?|(?:tusen )?takk|tak|nej|nei|hei|moi|kiitos|joo|kyllä",
    r"habari|jambo|mambo|asante(?: sana)?|ndiyo|hapana|sawa|bun[ăa](?: ziua)?|mul[țt]umesc|ahoj|dobrý den|děkuji|díky"
    r"|ano|szia|köszönöm|igen|nem",
)
# Words that may stand beside a greeting and add nothing.
FILLERS = (
    r"there|bot|whatsbot|(?:my )?friends?|everyone|all|dear|man|mate|buddy|bro|sir|madam|again|then|too|now|really|just"
    r"|so|very|much|a lot|a bunch|for (?:that|this|it|everything|(?:your|the) (?:help|reminder|info|answer))|you|it is"
    r"|is|that|it|to you(?: too)?|mucho|mesmo|beaucoup|sehr|mille|ji"
)
