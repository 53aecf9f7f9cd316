"""What made-up people say and are told, in the languages of `demo_people`: phrases with fields, and what fills them.

``facts`` are (type of the memory, statement, question about it); a statement with ``{code}`` can be corrected by the
same with another code. ``daily`` name the day they are about, so that one is another thing each day, as those who keep
a diary here do; the product knows such words in some languages only, and in the others there are none.
"""

from dataclasses import dataclass, field

Fact = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One language. ``lead`` begins an answer from memories, ``missed`` is one that has none."""

    facts: tuple[Fact, ...]
    daily: tuple[Fact, ...] = ()
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    greetings: tuple[tuple[str, str], ...]  # what is said, and what is answered
    kept: tuple[str, ...]
    lead: str
    missed: str
    unknown: tuple[str, ...]  # questions nobody has told anything about


SPEECHES: dict[str, Speech] = {
    "en": Speech(
        facts=(
            ("note", "The code of the {thing} is {code}", "What is the code of the {thing}?"),
            ("note", "The spare key of the {thing} is with {name}", "Who has the spare key of the {thing}?"),
            ("place", "I parked the car on level {n} of {place}", "Where did I park at {place}?"),
            ("event", "Appointment with Dr. {name} at {place}", "When do I see Dr. {name}?"),
            ("event", "{name} plays in the concert at {place}", "When is the concert of {name}?"),
            ("task", "Ask {name} about the {thing} insurance", "What did I want to ask {name}?"),
            ("person", "{name} works at {place} and has {n} cats", "Where does {name} work?"),
            ("person", "{name} is allergic to {food}", "What is {name} allergic to?"),
            ("preference", "I take {food} without sugar at {place}", "How do I take {food} at {place}?"),
            ("note", "The wifi password at {place} is blue-{code}", "What is the wifi password at {place}?"),
            ("note", "{name} owes me {n} pounds for the {food}", "How much does {name} owe me?"),
            (
                "note",
                "Order number {code} is the {thing} for {name}",
                "Which order is the {thing} for {name}?",
            ),
        ),
        daily=(
            ("note", "Ran {n} km today, with {name}", "How far did I run with {name}?"),
            ("note", "Spent {n} pounds on {food} today", "What did I spend on {food}?"),
            ("note", "Read {n} pages today at {place}", "How much did I read at {place}?"),
            ("note", "{name} brought {food} today", "Who brought {food}?"),
        ),
        fields={
            "thing": (
                "gate",
                "garage",
                "safe",
                "bike lock",
                "alarm",
                "office",
                "boat",
                "shed",
                "cellar",
                "heating",
            ),
            "place": ("the harbour", "Green Street", "the library", "St Mary's", "the old mill", "the gym"),
            "food": ("coffee", "peanuts", "oat milk", "strawberries", "tea", "pizza", "plums"),
        },
        greetings=(
            ("Hi", "Hi! Tell me anything you want to remember."),
            ("Thank you!", "You're welcome!"),
            ("good morning", "Good morning! What shall I keep for you?"),
            ("ok great", "Any time!"),
        ),
        kept=("Got it.", "I'll remember that.", "Noted, thanks for telling me.", "All right!"),
        lead="As you told me:",
        missed="You haven't told me about that.",
        unknown=("What is the capital of my heart?", "When does the circus come?", "Who painted the fence?"),
    ),
    "es": Speech(
        facts=(
            ("note", "El código de {thing} es {code}", "¿Cuál es el código de {thing}?"),
            ("note", "La llave de {thing} la tiene {name}", "¿Quién tiene la llave de {thing}?"),
            ("place", "Dejé el coche en la planta {n} de {place}", "¿Dónde dejé el coche en {place}?"),
            ("event", "Cita con el equipo de {name} en {place}", "¿Cuándo es la cita con {name}?"),
            ("task", "Preguntar a {name} por el seguro de {thing}", "¿Qué quería preguntar a {name}?"),
            ("person", "{name} trabaja en {place} y tiene {n} gatos", "¿Dónde trabaja {name}?"),
            ("person", "{name} tiene alergia a {food}", "¿A qué tiene alergia {name}?"),
            ("preference", "En {place} tomo {food} sin azúcar", "¿Cómo tomo {food} en {place}?"),
            ("note", "La clave del wifi de {place} es azul-{code}", "¿Cuál es la clave del wifi de {place}?"),
        ),
        daily=(
            ("note", "Hoy corrí {n} km con {name}", "¿Cuánto corrí con {name}?"),
            ("note", "Hoy gasté {n} euros en {food}", "¿Cuánto gasté en {food}?"),
            ("note", "Hoy leí {n} páginas en {place}", "¿Cuánto leí en {place}?"),
        ),
        fields={
            "thing": (
                "la puerta",
                "la caja fuerte",
                "la bici",
                "la alarma",
                "la oficina",
                "la casa",
                "la bodega",
            ),
            "place": ("la plaza", "la biblioteca", "la calle Mayor", "la piscina", "San Telmo"),
            "food": ("café", "cacahuetes", "leche de avena", "fresas", "té", "pan dulce"),
        },
        greetings=(("Hola", "¡Hola! Cuéntame lo que quieras recordar."), ("Gracias", "¡De nada!")),
        kept=("Apuntado.", "Lo recordaré.", "Entendido, gracias."),
        lead="Me contaste:",
        missed="No me has contado nada de eso.",
        unknown=("¿Cuándo viene el circo?", "¿Quién pintó la valla?"),
    ),
    "pt": Speech(
        facts=(
            ("note", "O código para {thing} é {code}", "Qual é o código para {thing}?"),
            ("note", "A chave para {thing} está com {name}", "Quem tem a chave para {thing}?"),
            ("place", "Deixei o carro no piso {n} de {place}", "Onde deixei o carro em {place}?"),
            ("event", "Consulta com a equipe de {name} em {place}", "Quando é a consulta com {name}?"),
            ("task", "Perguntar a {name} sobre o seguro para {thing}", "O que eu queria perguntar a {name}?"),
            ("person", "{name} trabalha em {place} e tem {n} gatos", "Onde {name} trabalha?"),
            ("person", "{name} tem alergia a {food}", "A que {name} tem alergia?"),
            ("preference", "Em {place} eu tomo {food} sem açúcar", "Como eu tomo {food} em {place}?"),
            ("note", "A senha do wifi de {place} é azul-{code}", "Qual é a senha do wifi de {place}?"),
        ),
        daily=(
            ("note", "Hoje corri {n} km com {name}", "Quanto corri com {name}?"),
            ("note", "Hoje gastei {n} reais em {food}", "Quanto gastei em {food}?"),
            ("note", "Hoje li {n} páginas em {place}", "Quanto li em {place}?"),
        ),
        fields={
            "thing": (
                "o portão",
                "a garagem",
                "o cofre",
                "a bicicleta",
                "o alarme",
                "o escritório",
                "o depósito",
            ),
            "place": ("Ipanema", "Lisboa", "Copacabana", "casa", "Sintra"),
            "food": ("café", "amendoim", "leite de aveia", "morangos", "chá", "pão de queijo"),
        },
        greetings=(("Oi", "Oi! Conte o que você quer lembrar."), ("Obrigado!", "De nada!")),
        kept=("Anotado.", "Vou lembrar.", "Certo, obrigado."),
        lead="Você me contou:",
        missed="Você não me contou nada sobre isso.",
        unknown=("Quando vem o circo?", "Quem pintou a cerca?"),
    ),
    "de": Speech(
        facts=(
            ("note", "Der Code für {thing} ist {code}", "Wie ist der Code für {thing}?"),
            ("note", "Den Schlüssel für {thing} hat {name}", "Wer hat den Schlüssel für {thing}?"),
            ("place", "Das Auto steht auf Deck {n} bei {place}", "Wo steht das Auto bei {place}?"),
            ("event", "Termin bei Dr. {name} bei {place}", "Wann ist der Termin bei Dr. {name}?"),
            ("task", "{name} nach der Versicherung für {thing} fragen", "Was wollte ich {name} fragen?"),
            ("person", "{name} arbeitet bei {place} und hat {n} Katzen", "Wo arbeitet {name}?"),
            ("person", "{name} verträgt {food} nicht", "Was verträgt {name} nicht?"),
            ("preference", "Bei {place} nehme ich {food} ohne Zucker", "Wie nehme ich {food} bei {place}?"),
            (
                "note",
                "Das WLAN-Passwort bei {place} ist blau-{code}",
                "Wie ist das WLAN-Passwort bei {place}?",
            ),
        ),
        daily=(
            ("note", "Heute {n} km gelaufen, mit {name}", "Wie weit bin ich mit {name} gelaufen?"),
            ("note", "Heute {n} Euro für {food} ausgegeben", "Was habe ich für {food} ausgegeben?"),
            ("note", "Heute {n} Seiten bei {place} gelesen", "Wie viel habe ich bei {place} gelesen?"),
        ),
        fields={
            "thing": (
                "das Tor",
                "die Garage",
                "den Tresor",
                "das Fahrrad",
                "den Keller",
                "das Büro",
                "das Boot",
            ),
            "place": ("Karstadt", "der Bibliothek", "den Stadtwerken", "der alten Mühle", "Opa"),
            "food": ("Kaffee", "Erdnüsse", "Hafermilch", "Erdbeeren", "Tee", "Brezeln"),
        },
        greetings=(("Hallo", "Hallo! Erzähl mir, was du behalten willst."), ("Danke", "Gern!")),
        kept=("Gemerkt.", "Alles klar, das weiß ich jetzt.", "Notiert."),
        lead="Du hast mir gesagt:",
        missed="Davon hast du mir nichts erzählt.",
        unknown=("Wann kommt der Zirkus?", "Wer hat den Zaun gestrichen?"),
    ),
    "fr": Speech(
        facts=(
            ("note", "Le code pour {thing} est {code}", "Quel est le code pour {thing} ?"),
            ("note", "C'est {name} qui a la clé pour {thing}", "Qui a la clé pour {thing} ?"),
            ("place", "La voiture est au niveau {n}, côté {place}", "Où est la voiture, côté {place} ?"),
            (
                "event",
                "Rendez-vous chez le docteur {name}, {place}",
                "Quand est le rendez-vous chez {name} ?",
            ),
            ("task", "Demander à {name} l'assurance pour {thing}", "Que voulais-je demander à {name} ?"),
            ("person", "{name} travaille à {place} et a {n} chats", "Où travaille {name} ?"),
            ("preference", "À {place}, je prends {food} sans sucre", "Comment je prends {food} à {place} ?"),
            ("note", "Le mot de passe wifi à {place} est bleu-{code}", "Quel est le wifi à {place} ?"),
        ),
        daily=(
            ("note", "Aujourd'hui j'ai couru {n} km avec {name}", "Combien ai-je couru avec {name} ?"),
            ("note", "Aujourd'hui j'ai dépensé {n} euros pour {food}", "Combien pour {food} ?"),
            ("note", "Aujourd'hui j'ai lu {n} pages à {place}", "Combien ai-je lu à {place} ?"),
        ),
        fields={
            "thing": ("le portail", "le garage", "le coffre", "le vélo", "la cave", "le bureau"),
            "place": ("Belleville", "la bibliothèque", "Dakar", "la piscine", "Montréal"),
            "food": ("le café", "le pain", "le thé", "les fraises", "le fromage"),
        },
        greetings=(("Bonjour", "Bonjour ! Dis-moi ce qu'il faut retenir."), ("Merci", "De rien !")),
        kept=("C'est noté.", "Je m'en souviendrai.", "Entendu."),
        lead="Tu m'as dit :",
        missed="Tu ne m'as rien dit à ce sujet.",
        unknown=("Quand vient le cirque ?", "Qui a peint la clôture ?"),
    ),
    "hi": Speech(
        facts=(
            ("note", "{thing} का कोड {code} है", "{thing} का कोड क्या है?"),
            ("note", "{thing} की चाबी {name} के पास है", "{thing} की चाबी किसके पास है?"),
            ("event", "{place} में डॉक्टर {name} से मिलना है", "डॉक्टर {name} से कब मिलना है?"),
            ("task", "{name} से {thing} के बीमे के बारे में पूछना है", "{name} से क्या पूछना था?"),
            ("person", "{name} की नौकरी {place} में है", "{name} की नौकरी कहाँ है?"),
            ("preference", "{place} में मैं {food} बिना चीनी के लेता हूँ", "{place} में मैं {food} कैसे लेता हूँ?"),
        ),
        daily=(
            ("note", "आज {name} के साथ {n} किमी दौड़ा", "{name} के साथ कितना दौड़ा?"),
            ("note", "आज {food} पर {n} रुपये खर्च किए", "{food} पर कितना खर्च किया?"),
            ("note", "आज {place} में {n} पन्ने पढ़े", "{place} में कितना पढ़ा?"),
        ),
        fields={
            "thing": ("दरवाज़े", "गैराज", "तिजोरी", "साइकिल", "दफ़्तर", "स्कूटर"),
            "place": ("पुणे", "पुस्तकालय", "दिल्ली", "अस्पताल", "जयपुर"),
            "food": ("चाय", "कॉफ़ी", "दूध", "लस्सी", "मिठाई"),
        },
        greetings=(("नमस्ते", "नमस्ते! जो याद रखना है, मुझे बताइए।"), ("धन्यवाद", "कोई बात नहीं!")),
        kept=("लिख लिया।", "याद रखूँगा।"),
        lead="आपने बताया था:",
        missed="इसके बारे में आपने कुछ नहीं बताया।",
        unknown=("सर्कस कब आएगा?",),
    ),
    "ru": Speech(
        facts=(
            ("note", "Код от {thing}: {code}", "Какой код от {thing}?"),
            ("note", "Ключ от {thing} теперь хранит {name}", "Кто хранит ключ от {thing}?"),
            ("person", "{name} не ест {food}", "Что не ест {name}?"),
            ("task", "Про страховку для {thing} знает {name}", "Кто знает про страховку для {thing}?"),
        ),
        fields={
            "thing": ("ворот", "гаража", "сейфа", "подвала", "офиса", "велосипеда", "дачи"),
            "food": ("орехи", "мёд", "рыбу", "клубнику", "сыр"),
        },
        greetings=(("Привет", "Привет! Расскажите, что запомнить."), ("Спасибо", "Пожалуйста!")),
        kept=("Запомнил.", "Хорошо, записал."),
        lead="Вы говорили:",
        missed="Об этом вы мне не рассказывали.",
        unknown=("Когда приедет цирк?",),
    ),
    "ar": Speech(
        facts=(
            ("note", "رمز {thing} هو {code}", "ما رمز {thing}؟"),
            ("note", "مفتاح {thing} مع {name}", "مع من مفتاح {thing}؟"),
            ("person", "{name} لا يأكل {food}", "ماذا لا يأكل {name}؟"),
            ("task", "أسأل {name} عن تأمين {thing}", "ماذا أسأل {name}؟"),
        ),
        fields={
            "thing": ("البوابة", "المرآب", "الخزنة", "الدراجة", "المكتب", "القارب"),
            "food": ("الفستق", "العسل", "السمك", "الفراولة", "الجبن"),
        },
        greetings=(("السلام عليكم", "وعليكم السلام! أخبرني بما تريد أن تتذكره."), ("شكرا", "عفوًا!")),
        kept=("حفظته.", "سأتذكر ذلك."),
        lead="أخبرتني:",
        missed="لم تخبرني بشيء عن هذا.",
        unknown=("متى يأتي السيرك؟",),
    ),
    "ja": Speech(
        facts=(
            ("note", "{thing}の暗証番号は{code}です", "{thing}の暗証番号は何ですか?"),
            ("note", "{thing}の鍵は{name}さんが持っています", "{thing}の鍵は誰が持っていますか?"),
            ("person", "{name}さんは{food}が食べられません", "{name}さんは何が食べられませんか?"),
            ("task", "{name}さんに{thing}の保険について聞く", "{name}さんに何を聞くのでしたか?"),
        ),
        fields={
            "thing": ("門", "車庫", "金庫", "自転車", "事務所", "倉庫"),
            "food": ("そば", "卵", "えび", "牛乳", "ピーナッツ"),
        },
        greetings=(
            ("こんにちは", "こんにちは!覚えておきたいことを教えてください。"),
            ("ありがとう", "どういたしまして!"),
        ),
        kept=("覚えました。", "わかりました。"),
        lead="教えていただいたこと:",
        missed="それについては聞いていません。",
        unknown=("サーカスはいつ来ますか?",),
    ),
}
# Shared places: latitude, longitude, name, address.
PLACES = tuple(
    (f"{latitude:.6f}", f"{longitude:.6f}", name, address)
    for latitude, longitude, name, address in (
        (48.858222, 2.294500, "Tour Eiffel", "5 Avenue Anatole France, Paris"),
        (40.689247, -74.044502, "Statue of Liberty", "Liberty Island, New York"),
        (-22.951916, -43.210487, "Cristo Redentor", "Parque Nacional da Tijuca, Rio de Janeiro"),
        (27.175015, 78.042155, "Taj Mahal", "Agra, Uttar Pradesh"),
        (41.403629, 2.174356, "Sagrada Família", "Carrer de Mallorca 401, Barcelona"),
        (52.516275, 13.377704, "Brandenburger Tor", "Pariser Platz, Berlin"),
        (-33.856784, 151.215297, "Sydney Opera House", "Bennelong Point, Sydney"),
        (35.658581, 139.745433, "東京タワー", "港区芝公園4丁目2-8"),
        (29.979235, 31.134202, "أهرامات الجيزة", "الجيزة"),
        (19.432608, -99.133209, "Zócalo", "Plaza de la Constitución, Ciudad de México"),
        (51.500729, -0.124625, "Big Ben", "Westminster, London"),
        (38.691584, -9.215977, "Torre de Belém", "Avenida Brasília, Lisboa"),
    )
)
