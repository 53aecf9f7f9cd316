"""The words people use for days and spans of days, in English, Spanish, Portuguese, German, French and Hindi.

Everything is written as `memories.time_spans` folds a text: lower case, Latin letters without accents. The
keys of the tables are what the words mean; the values are alternatives of a regular expression, in which a
space stands for any white space and {w} a weekday, {m} a month, {y} a year, {n} a number, {u} a unit. Words
that mean two things ("may", "march", German "hier", Hindi "कल") are told apart in `memories.time_spans`.
"""

MONTHS = (
    "january|jan|enero|janeiro|januar|janner|janvier|जनवरी",
    "february|feb|febrero|fevereiro|februar|fevrier|फ़?रवरी",
    "march|marzo|marco|marz|maerz|mars|मार्च",
    "april|apr|abril|avril|अप्रैल",
    "may|mayo|maio|mai|मई",
    "june|jun|junio|junho|juni|juin|जून",
    "july|jul|julio|julho|juli|juillet|जुलाई",
    "august|aug|agosto|aout|अगस्त",
    "september|sept|sep|septiembre|setiembre|setembro|septembre|सितंबर|सितम्बर",
    "october|oct|octubre|outubro|oktober|octobre|अक्टूबर|अक्तूबर",
    "november|nov|noviembre|novembro|novembre|नवंबर|नवम्बर",
    "december|dec|diciembre|dezembro|dezember|decembre|दिसंबर|दिसम्बर",
)
# Portuguese day names are also ordinals (segunda: second), so they count only with -feira.
WEEKDAYS = (
    "monday|lunes|segunda(?:-| )feira|montag|lundi|सोमवार|somvar",
    "tuesday|tues|martes|terca(?:-| )feira|dienstag|mardi|मंगलवार|mangalvar",
    "wednesday|miercoles|quarta(?:-| )feira|mittwoch|mercredi|बुधवार|budhvar",
    "thursday|thurs|jueves|quinta(?:-| )feira|donnerstag|jeudi|गुरुवार|बृहस्पतिवार|guruvar",
    "friday|viernes|sexta(?:-| )feira|freitag|vendredi|शुक्रवार|shukravar",
    "saturday|sabado|samstag|sonnabend|samedi|शनिवार|shanivar",
    "sunday|domingo|sonntag|dimanche|रविवार|इतवार|ravivar",
)
NUMBERS = {
    1: "a|an|one|un|uno|una|um|uma|ein|eine|einem|einer|une|एक|ek",
    2: "two|a couple of|couple of|dos|dois|duas|zwei|deux|दो|do",
    3: "three|tres|drei|trois|तीन|teen",
    4: "four|cuatro|quatro|vier|quatre|चार|char",
    5: "five|cinco|funf|fuenf|cinq|पांच|पाँच|paanch",
    6: "six|seis|sechs|छह|chhah",
    7: "seven|siete|sete|sieben|sept|सात|saat",
    8: "eight|ocho|oito|acht|huit|आठ|aath",
    9: "nine|nueve|nove|neun|neuf|नौ",
    10: "ten|diez|dez|zehn|dix|दस|das",
}
UNITS = {
    "day": "days?|dias?|tage?n?|jours?|दिन|दिनों|din",
    "week": "weeks?|semanas?|wochen?|semaines?|हफ़?्ते|हफ़?्तों|सप्ताह|hafte",
    "month": "months?|mes|meses|monate?n?|mois|महीने|महीनों|mahine",
    "year": "years?|anos?|jahre?n?|ans?|annees?|साल|सालों|वर्ष|saal",
}
# Days counted from today.
DAYS = {
    -2: "(?:the )?day before yesterday|anteayer|antes de ayer|anteontem|vorgestern|avant(?:-| )hier",
    -1: "yesterday(?: (?:morning|afternoon|evening|night))?|ayer(?: por la (?:manana|tarde|noche))?"
    "|ontem(?: (?:de manha|a tarde))?|gestern(?: (?:morgen|fruh|vormittag|mittag|nachmittag|abend|nacht))?"
    "|hier(?: (?:matin|soir|apres(?:-| )midi))?",
    0: "(?:earlier )?today|tonight|this (?:morning|afternoon|evening)|hoy|esta (?:manana|tarde|noche)|hoje"
    "|heute(?: (?:morgen|fruh|vormittag|mittag|nachmittag|abend|nacht))?|aujourd['’]?hui|ce matin"
    "|cet apres(?:-| )midi|ce soir|आज|aaj",
    1: "tomorrow(?: (?:morning|afternoon|evening|night))?|(?<!la |esta |cada |buena )manana|amanha"
    "|(?<!guten |am |jeden |diesen |den )morgen|demain",
    2: "(?:the )?day after tomorrow|pasado manana|depois de amanha|ubermorgen|apres(?:-| )demain",
}
# After midnight people still call it the night before, so this is two days.
LAST_NIGHT = "last night|anoche|ontem a noite|letzte nacht|la nuit derniere"
# Hindi has one word for the day before and the day after, and one for two days off; the tense tells.
DAYS_EITHER_WAY = {1: "कल|kal", 2: "परसों|parson"}
# Whole weeks (from Monday), months, years and weekends, counted from the present one.
PERIODS = {
    ("week", -1): "(?:the )?(?:last|previous) week|(?:la )?semana pasada|semana passada"
    "|(?:der )?(?:letzten?|vergangenen?|vorigen?) woche|(?:la )?semaine (?:derniere|passee)"
    "|पिछले (?:हफ़?्ते|सप्ताह)|pichh?le hafte",
    ("week", 0): "this week|(?:nest|ness|est|ess)a semana|dieser? woche|cette semaine"
    "|इस (?:हफ़?्ते|सप्ताह)|is hafte",
    ("week", 1): "next week|(?:la )?(?:proxima semana|semana que (?:viene|vem))|nachsten? woche"
    "|(?:la )?semaine prochaine|अगले (?:हफ़?्ते|सप्ताह)|agle hafte",
    ("month", -1): "(?:the )?(?:last|previous) month|(?:el )?mes pasado|(?:no )?mes passado"
    "|(?:im )?(?:letzten|vergangenen|vorigen) monat|(?:le )?mois (?:dernier|passe)"
    "|पिछले महीने|pichh?le mahine",
    ("month", 0): "this month|(?:nest|ness|est|ess)e mes|(?:in )?diese[nm] monat|ce mois(?:(?:-| )ci)?"
    "|इस महीने|is mahine",
    ("month", 1): "next month|(?:el )?(?:proximo mes|mes que (?:viene|vem))|nachsten monat"
    "|(?:le )?mois prochain|अगले महीने|agle mahine",
    ("year", -1): "(?:the )?(?:last|previous) year|(?:el )?ano pasado|(?:no )?ano passado"
    "|(?:im )?(?:letzte[sn]|vergangene[sn]|vorige[sn]) jahr|l['’]an(?:nee)? (?:dernie|passe)r?e?"
    "|पिछले साल|pichh?le saal",
    ("year", 0): "this year|(?:nest|ness|est|ess)e ano|(?:in )?diese[sm] jahr|cette annee|इस साल|is saal",
    ("year", 1): "next year|(?:el )?(?:proximo ano|ano que (?:viene|vem))|nachstes jahr"
    "|l['’]annee prochaine|अगले साल|agle saal",
    ("weekend", -1): "(?:the )?(?:last|previous) weekend|this past weekend|(?:el )?fin de semana pasado"
    "|fim de semana passado|letztes wochenende|(?:le )?week-?end (?:dernier|passe)",
    ("weekend", 0): "this weekend|este fin de semana|(?:nest|ess|est)e fim de semana|dieses wochenende"
    "|ce week-?end",
    ("weekend", 1): "next weekend|(?:el )?proximo fin de semana|proximo fim de semana|nachstes wochenende"
    "|(?:le )?week-?end prochain",
}
# "The last ten days": up to and including today. {n} and {u} stand for a number and a unit.
ROLLING = (
    "(?:the |my )?(?:last|past|previous) {n} {u}",
    "(?:the (?:last|past)|this past|past) {u}",
    "(?:en )?(?:los|las) ultim[oa]s {n} {u}",
    "(?:nos|nas) ultim[oa]s {n} {u}",
    "(?:en )?(?:la ultima|el ultimo) {u}|(?:na ultima|no ultimo) {u}",
    "(?:in |wahrend )?(?:den|der) (?:letzten|vergangenen) {n} {u}",
    "(?:au cours des|durant les|pendant les|dans les|ces|les) {n} derni(?:er|ere)s {u}",
    "पिछले {n} {u}(?: में)?",
)
AGO = (
    "{n} {u} ago",
    "hace {n} {u}",
    "(?:ha|faz) {n} {u}",
    "{n} {u} atras",
    "vor {n} {u}",
    "il y a {n} {u}",
    "{n} {u} (?:पहले|pehle)",
)
OVER_THE_WEEKEND = (
    "(?:at|on|over|during) the weekend|el fin de semana|no fim de semana|am wochenende|le week-?end"
)
LAST_WEEKDAY = (
    "(?:on )?(?:last|this past|past) {w}",
    "(?:on )?{w} last(?! (?:week|month|year))",
    "(?:el )?pasado {w}|(?:el )?{w} pasado",
    "(?:n[oa] )?(?:ultim[oa] {w}|{w} passad[oa])",
    "(?:am )?(?:letzten|vergangenen|vorigen) {w}",
    "{w} dernier",
    "पिछले {w}(?: को)?",
)
# Which one is meant, the latest or the next, only the tense can say. In English the past is the default.
ON_WEEKDAY = ("el {w}", "n[oa] {w}", "am {w}", "{w} को")
# "What did I eat Monday?": only where no other reading is likely.
BARE_WEEKDAY = (
    "(?<!(?:about|for|of|every|each|black|ash|good|by|the|a|my|our|called|named|next|than|and|or|to) )"
    "(?P<w>monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
)
PART_OF_DAY = (
    "(?: (?:morning|afternoon|evening|night|por la (?:manana|tarde|noche)|abend|nachmittag|soir|matin))?"
)
IN_MONTH = (
    "(?:back )?(?:in|during|throughout) (?:(?:early|late|mid)(?:-| ))?{m}",
    "(?:in|during|at|towards?) the (?:start|beginning|middle|end) of {m}",
    "en {m}|au mois (?:de |d['’]){m}",
    "em {m}",
    "im {m}",
    "{m} में",
)
LAST_YEAR_IN = "last year in"
OF_LAST_YEAR = "(?:of )?last year|del ano pasado|do ano passado|letzten jahres|de l['’]an(?:nee)? derni?er?e?"
# Not "in 2020 words".
COUNTED = (
    "words|pages|lines|euros?|dollars|pesos|rupees|pounds|people|places|countries|shops|steps|pieces|hours"
)
IN_YEAR = (
    f"(?:back )?(?:in|during)(?: the year)? {{y}}(?! (?:{COUNTED}))",
    "e[nm] {y}",
    "im jahre? {y}",
    "{y} में",
)
WEEK_OF = (
    "(?:in |during )?the week (?:of|beginning|starting)"
    "|la semana del|n?a semana de|(?:in )?der woche vom|la semaine du"
)
SINCE = "(?:ever )?since|desde|seit|depuis"
BEFORE = "before|antes del?(?! ayer)|vor|avant(?! hier)"
AFTER = "after|despues del?|depois de(?! amanha)|nach|apres(?! demain)"
UNTIL = "until|till|up to|hasta|ate|bis(?: zum)?|jusqu['’](?:en|au|a)"
BETWEEN = (("between", "and"), ("entre", "y|e|et"), ("zwischen", "und"))
FROM_TO = (
    ("from", "to|until|till|through"),
    ("desde|del?|du", "hasta|al?|ate|au"),
    ("vo[nm]", "bis(?: zum)?"),
)
FROM = "from|vom"
# Words of the past and of what is or will be, for questions that name a day which could be either.
PAST = (
    "did|didn['’]?t|was|were|wasn['’]?t|weren['’]?t|had|said|told|wrote|sent|went|met|bought|saw|gave|took|made|ate"
    "|drank|came|thought|heard|found|lost|spent|paid|slept|ran|drove|spoke|brought|learnt|happened"
    "|(?<!(?:is|are|am|be) )(?:i|we|you|he|she|they|it|who|what|i['’]ve|we['’]ve|have i|have we) "
    "(?:\\w+[^e\\W]ed|left|put|got|read|kept)"
    "|dije|dijo|dijiste|conte|conto|hice|hizo|fui|fue|era|estaba|estuve|comi|compre|vi|escribi|mande|envie|guarde|paso"
    "|tenia|tuve|habia|hubo"
    "|disse|falei|contei|fiz|fez|foi|estava|comprei|escrevi|mandei|enviei|guardei|aconteceu|tinha|tive|houve"
    "|war|waren|hatten?|wurden?|sagte|erzahlte|gesagt|erzahlt|gemacht|geschrieben|geschickt|gegessen|gewesen|gekauft"
    "|getroffen|gegangen|getan|passiert|notiert|gespeichert|erwahnt|gesehen|gehort|gelesen|gefahren"
    "|j['’]?ai|ai-je|qu['’]ai|as-tu|avais|avait|etais|etait|dit|fait|mange|achete|ecrit|envoye|rencontre"
    "|था|थे|थी|कहा|बताया|किया|लिखा|गया|गई|गए|हुआ|हुई|बोला|मिला|खाया|भेजा|दिया|लिया"
    "|tha|thi|kaha|bataya|kiya|likha|gaya|gayi|hua|hui|bola|mila|khaya|bheja|diya|liya"
)
TO_COME = (
    "is|are|am i|i am|isn['’]?t|aren['’]?t|(?:what|when|where|who|how|there|it)['’]s"
    "|do (?:i|you|we|they|it)|does|don['’]?t|doesn['’]?t|will|won['’]?t"
    "|\\w+['’]ll|shall|can|should|must|need|going to|gonna|due"
    "|voy|vas|va|tengo|hay|habra|sera|tendre|vou|vai|tenho|ha|sera|terei"
    "|werde|wird|muss|soll|habe ich vor|vais|vas|dois-je|je dois|sera"
    "|है|हैं|होगा|होगी|जाना|करना|चाहिए|hai|hoga|hogi|jana|karna|chahiye"
)
# "Hier" is yesterday in French and here in German.
GERMAN = "ich|ist|was|wo|wer|wann|wie|und|der|das|nicht|habe|hat|haben|wir|sind|gibt|bin|meine?"
