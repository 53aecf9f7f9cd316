"""What WhatsApp itself writes into a chat export, in the languages of phones.

One line per language (or a few that share words); ``|`` separates phrases. Case, a full stop at the end and invisible
marks of direction do not count. Phones of other languages are understood as well where the form tells (see
`memories.chat_exports`): these lists are for what looks like somebody's own words.
"""

# Halves of the day (CLDR's words), as `memories.chat_exports` folds them: "a. m." is "am".
MORNING = (
    "AM|上午|凌晨|清晨|早上|早晨|午前|오전|صباحا|ص|ق.ظ|قبل‌ازظهر|πμ|पूर्वाह्न|म.पू|পূর্বাহ্ণ|முற்பகல்|ಪೂರ್ವಾಹ್ನ|ਪੂਦੁ|in the morning"
    "|ก่อนเที่ยง|ກ່ອນທ່ຽງ|နံနက်|ጥዋት|පෙ.ව|SA|ÖÖ|PG|пр.об|претпл|пре подне|прије подне|prijepodne|дп|тң|ү.ө|de|dop|fm|f.h|ap|vm"
    "|priekšp|priešpiet|e paradites|p.d|GH|TO|yb|r.n|SF"
)
EVENING = (
    "PM|下午|中午|晚上|午後|오후|مساء|م|ب.ظ|بعدازظهر|μμ|अपराह्न|म.उ|অপরাহ্ণ|பிற்பகல்|ಅಪರಾಹ್ನ|ਬਾਦੁ|in the afternoon"
    "|หลังเที่ยง|ຫຼັງທ່ຽງ|ညနေ|ከሰዓት|ප.ව|CH|ÖS|PTG|сл.об|попл|по подне|послије подне|popodne|пп|тк|ү.х|du|odp|em|e.h|ip|nm"
    "|pēcp|popiet|pop|e pasdites|m.d|GD|TK|yh|i.n|YM|in the evening"
)
# Other words beside a date or a time; they say nothing.
FILLERS = "at|um|uhr|kl|klo|klockan|klock|h|s|г|р|в|о|u|à|às|as|a las|lúc|BE|น|日|일|ore|ora|alle|om|den"

OMITTED = (
    "image omitted|video omitted|audio omitted|sticker omitted|GIF omitted|document omitted|contact card omitted"
    "|video note omitted|media omitted",
    "Bild weggelassen|Video weggelassen|Audio weggelassen|Sticker weggelassen|GIF weggelassen|Dokument weggelassen"
    "|Kontaktkarte ausgelassen|Kontaktkarte weggelassen",
    "imagen omitida|video omitido|audio omitido|sticker omitido|GIF omitido|documento omitido"
    "|tarjeta de contacto omitida|multimedia omitido",
    "imagem ocultada|imagem omitida|vídeo ocultado|vídeo omitido|áudio ocultado|áudio omitido|figurinha omitida"
    "|cartão do contato omitido|imagem não revelada|vídeo não revelado|ficheiro de áudio não revelado"
    "|sticker não revelado|GIF não revelada|contacto não revelado|documento não revelado",
    "image absente|vidéo absente|audio omis|sticker omis|GIF retiré|GIF omis|document omis|document manquant"
    "|fiche contact manquante|fiche contact omise",
    "immagine omessa|video omesso|audio omesso|sticker omesso|sticker non incluso|GIF esclusa|GIF omessa"
    "|documento omesso|scheda contatto omessa",
    "afbeelding weggelaten|video weggelaten|audio weggelaten|sticker weggelaten|GIF weggelaten|document weggelaten"
    "|visitekaartje weggelaten",
    "bild utesluten|video utesluten|ljud uteslutet|ljud utelslutet|sticker utesluten|GIF utesluten|dokument uteslutet"
    "|kontaktkort uteslutet",
    "billede udeladt|video udeladt|lyd udeladt|klistermærke udeladt|GIF udeladt|dokument udeladt|kontaktkort udeladt",
    "bilde ikke inkludert|video utelatt|lyd utelatt|klistremerke utelatt|GIF utelatt|utelatt dokument",
    "obraz pominięty|wideo pominięte|audio pominięte|pominięto naklejkę|plik GIF pominięty|dokument pominięty"
    "|pominięta wizytówka kontaktu",
    "obrázek vynechán|video vynecháno|zvukový soubor vynechán|nálepka vynechána|GIF vynechán|dokument vynechán"
    "|vizitka vynechána",
    "изображение отсутствует|видео отсутствует|аудио отсутствует|аудиофайл отсутствует|стикер не добавлен"
    "|GIF отсутствует|документ отсутствует|карточка контакта отсутствует",
    "зображення відсутнє|відео відсутнє|аудіо відсутнє|наклейку не додано|GIF-анімацію пропущено|документ пропущено"
    "|картка контакту відсутня",
    "görüntü dahil edilmedi|video dahil edilmedi|ses dahil edilmedi|Çıkartma dahil edilmedi|GIF dahil edilmedi"
    "|belge dahil edilmedi|kişi kartı dahil edilmedi",
    "gambar tidak disertakan|video tidak disertakan|audio tidak disertakan|stiker tidak disertakan"
    "|GIF tidak disertakan|dokumen tidak disertakan|kartu kontak tidak disertakan",
    "התמונה הושמטה|סרטון הווידאו הושמט|קטע קול הושמט|השמע הושמט|סטיקר הושמט|GIF הושמט|מסמך הושמט|כרטיס איש קשר הושמט",
    "لم يتم إدراج الصورة|لم يتم إدراج الفيديوهات|لم يتم إدراج المقاطع الصوتية|تم حذف الملصقات|لم يتم إدراج صورة GIF"
    "|لم يتم إدراج المستند|لم يتم إدراج بطاقة جهة اتصال",
    "इमेज छोड़ी गई|फ़ोटो हटाई गई|वीडियो छोड़ा गया|ऑडियो हटाई गयी|स्टिकर छोड़ा गया|GIF छोड़ा गया|डॉक्यूमेंट छोड़ा गया",
    "画像は含まれていません|ビデオは含まれていません|音声は含まれていません|スタンプは含まれていません|GIFは含まれていません"
    "|ドキュメントは含まれていません|連絡先カードを省略",
    "이미지 생략됨|비디오 생략됨|오디오 생략됨|스티커 제외됨|GIF 생략됨|문서 생략됨|연락처 카드 생략됨",
    "照片已忽略|视频已忽略|音频已忽略|贴图已省略|GIF 动态图已被忽略|文档已省略|联系人卡片已忽略",
    "圖片已略去|圖像已省略|影片已略去|影片已省略|音訊已略去|音訊已省略|貼圖已略去|貼圖已忽略|文件已略去|聯絡人卡片已略去",
)

# Android, after the name of a file, in brackets.
ATTACHED = (
    "file attached|Datei angehängt|archivo adjunto|archivo adjuntado|arquivo anexado|ficheiro anexado|fichier joint",
    "file allegato|bestand bijgevoegd|bifogad fil|fil vedhæftet|vedlagt fil|liitetiedosto|załączony plik",
    "soubor byl přiložen|súbor pripojený|файл добавлен|файл додано|dosya ekli|file terlampir|fail dilampirkan",
    "arxiu adjunt|fișier atașat|fájl csatolva|συνημμένο αρχείο|קובץ מצורף|الملف مرفق|फाइल अटैच कर दी गई है",
    "添付ファイル有り|ファイル添付|文件附件|附件檔案|파일 첨부됨|tệp đính kèm|ไฟล์ที่แนบ",
)

DELETED = (
    "this message was deleted|you deleted this message|this message was deleted by (?:an )?admin.*"
    "|you deleted this message as admin",
    "diese Nachricht wurde gelöscht|du hast diese Nachricht gelöscht",
    "se eliminó este mensaje|este mensaje fue eliminado|eliminaste este mensaje",
    "mensagem apagada|(?:esta|essa) mensagem foi apagada|(?:você )?apagou esta mensagem|você apagou essa mensagem",
    "ce message a été supprimé|(?:vous avez|tu as) supprimé ce message",
    "questo messaggio è stato eliminato|hai eliminato questo messaggio",
    "dit bericht is verwijderd|(?:je|u) hebt dit bericht verwijderd",
    "данное сообщение удалено|вы удалили данное сообщение|это сообщение было удалено|вы удалили это сообщение",
    "це повідомлення було видалено|ви видалили це повідомлення",
    "tato zpráva byla smazána|tuto zprávu jste smazal/a|ta wiadomość została usunięta|usunięto tę wiadomość",
    "bu mesaj silindi|bu mesajı sildiniz|pesan ini (?:telah )?dihapus|anda (?:telah )?menghapus pesan ini",
    "det här meddelandet raderades|du raderade det här meddelandet",
    "denne besked blev slettet|denne meldingen ble slettet",
    "הודעה זו נמחקה|מחקת הודעה זו|تم حذف هذه الرسالة|لقد حذفت هذه الرسالة|حذفت هذه الرسالة",
    "यह (?:मैसेज|संदेश) हटा दिया गया|このメッセージは削除されました|(?:この)?メッセージを削除しました",
    "삭제된 메시지입니다|(?:이 )?메시지를 삭제했습니다",
    "此消息已删除|您已删除此消息|此訊息已刪除|你已刪除(?:這則|此)訊息",
)

# At the end of a message, in angle brackets.
EDITED = (
    "this message was edited|diese Nachricht wurde bearbeitet|se editó este mensaje|este mensaje fue editado"
    "|mensaje editado|mensagem editada|esta mensagem foi editada|ce message a été modifié"
    "|questo messaggio è stato modificato|dit bericht is bewerkt|это сообщение изменено|данное сообщение изменено"
    "|bu mesaj düzenlendi|ההודעה נערכה|pesan ini diedit",
)

# Beginnings of what old exports put under the name of a person or a group as if they had said it.
NOTICES = (
    "messages and calls are end-to-end encrypted|messages you send to this (?:chat|group)"
    "|messages to this (?:chat|group)|your security code with|waiting for this message. this may take a while"
    r"|missed (?:group )?(?:voice|video) call\.?$|live location shared$|null$",
    "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt|Nachrichten in (?:diesem Chat|dieser Gruppe)"
    r"|deine Sicherheitsnummer für|verpasster (?:Sprach|Video)anruf\.?$|Live-Standort wird geteilt$",
    "los mensajes y las llamadas están cifrados|los mensajes en este (?:chat|grupo)|cambió tu código de seguridad"
    r"|(?:video)?llamada (?:de voz )?perdida\.?$|ubicación en tiempo real compartida$",
    "as mensagens e (?:as )?(?:ligações|chamadas) são|seu código de segurança com"
    r"|(?:chamada|ligação) de (?:voz|vídeo) perdida\.?$|localização atual compartilhada$",
    "les messages et les appels sont chiffrés|votre code de sécurité avec"
    r"|appel (?:vocal|vidéo) manqué\.?$|localisation en direct partagée$",
    "i messaggi e le chiamate sono crittografati|il tuo codice di sicurezza con"
    r"|(?:chiamata vocale|videochiamata) persa\.?$|posizione attuale condivisa$",
    r"berichten en gesprekken worden end-to-end versleuteld|gemist (?:spraak|video)gesprek\.?$|live locatie gedeeld$",
    r"сообщения и звонки защищены сквозным|пропущенный (?:аудио|видео)звонок\.?$|геоданные отправлены$",
    r"mesajlar ve aramalar uçtan uca şifrelidir|cevapsız (?:sesli|görüntülü) arama\.?$",
    r"pesan dan panggilan terenkripsi|panggilan (?:suara|video) tak terjawab\.?$|lokasi terkini dibagikan$",
    "ההודעות והשיחות מוצפנות|الرسائل والمكالمات مشفرة|メッセージと通話はエンドツーエンド暗号化|訊息和通話經端對端加密"
    "|消息和通话都进行端到端加密|메시지 및 전화는 종단간 암호화|मैसेजेस और कॉल्स एंड-टू-एंड एन्क्रिप्टेड हैं",
)
