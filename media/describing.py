"""What a file shows or says, once for each content, so that it is found again.

The prompt knows the content only, never a person's caption: the description is shared by all who have sent the file.
"""

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from media.models import MediaFile, MessageMedia
from media.storing import BUSY_SECONDS, claim, open_locally, release
from whatsbot import database
from whatsbot.exceptions import MisconfiguredProvider, PermanentProviderError, TransientProviderError
from whatsbot.integrations.gemini_media import DESCRIBABLE, Description, describe

log = logging.getLogger(__name__)

Kind = MediaFile.Kind
# A picture of a type Gemini does not take (GIF, BMP, TIFF) is shown to it as its thumbnail.
THUMBNAIL_TYPE = "image/jpeg"
# A text as short as this describes itself.
SHORT_TEXT = 1000

_FORM = """
Answer with JSON: "description", "text" and "language". Write the description in the language of the content (of its
words, if it has any; else English). "text" is what stands in it or is said in it, word for word, in its own language;
empty if there is none. "language" is the BCP 47 tag of the content, empty if it has no words.
The description is for finding this again later, also in other words: name what, who, where, when, amounts, numbers,
brands, addresses and dates that can be seen or heard. Say nothing that cannot be. No introduction, no markdown."""

PROMPTS = {
    Kind.PICTURE: "This is a picture that somebody wants to find again. Describe it in two to five sentences: what kind"
    " of picture it is (photo, screenshot, receipt, document, drawing …), what it shows, and what matters in it.",
    Kind.STICKER: "This is a sticker of a chat. Describe in one sentence what it shows and what it expresses.",
    Kind.VOICE_NOTE: "This is a voice note. Write down all that is said in it, word for word, with punctuation, without"
    " filler sounds, as the text. The description is one sentence that says what it is about.",
    Kind.AUDIO: "This is a recording. Write down all that is said in it, word for word, as the text. Describe in two to"
    " four sentences what can be heard: who speaks about what, or which music or sounds.",
    Kind.VIDEO: "This is a video. Describe in three to six sentences what happens in it, who and what can be seen, in"
    " which order, and which words stand in it. Write down what is said in it, word for word, as the text.",
    Kind.PDF: "This is a PDF. Describe in three to six sentences what kind of document it is, from whom, for whom, of"
    " when, and what matters in it: amounts, dates, numbers, duties. As the text, give its most important passages word"
    " for word, at most 2000 words.",
    Kind.DOCUMENT: "This is the text of a document. Describe in three to six sentences what kind of document it is,"
    " from whom, for whom, of when, and what matters in it. Leave the text empty.",
    Kind.TEXT: "This is a text file. Describe in two to five sentences what it is and what matters in it. Leave the"
    " text empty.",
}


def can_be_described(file: MediaFile) -> bool:
    """Whether a language model could say anything of it that we do not read ourselves."""
    return not _describes_itself(file) and _find_input(file) is not None


def _describes_itself(file: MediaFile) -> bool:
    """Contact cards and short texts say all there is to say."""
    is_text = file.kind == Kind.CONTACT or (file.kind == Kind.TEXT and len(file.text) <= SHORT_TEXT)
    return is_text and bool(file.text)


def _find_input(file: MediaFile) -> str | None:
    """The content type to show to the model; "" for the text we have read ourselves; None if there is nothing."""
    if file.kind in (Kind.DOCUMENT, Kind.TEXT):
        return "" if file.text else None
    if file.content_type in DESCRIBABLE:
        return file.content_type
    return THUMBNAIL_TYPE if file.thumbnail_name else None


def describe_file(file: MediaFile, *, claimant: int) -> bool:
    """Have a stored file described, unless it is; return whether it is described now.

    Safe to repeat: what the model has answered is kept with the file and asked for no second time, by whomever. Without
    a key, or if the model can say nothing of it, the file stays as it is. Raises TransientProviderError if the model or
    the storage is away, or if somebody else is asking just now.
    """
    if file.described_at is not None:
        return True
    content_type = _find_input(file)
    if not settings.GEMINI_API_KEY or not can_be_described(file) or content_type is None:
        return False
    if not claim(file, claimant=claimant):
        raise TransientProviderError("Somebody else is describing this file.", retry_after=BUSY_SECONDS)
    file.refresh_from_db()
    if file.described_at is not None:
        release(file, claimant=claimant)
        return True
    try:
        description = _ask(file, content_type)
    except (PermanentProviderError, FileNotFoundError) as error:
        level = logging.ERROR if isinstance(error, MisconfiguredProvider) else logging.WARNING
        log.log(level, "file %s stays without description: %s", file.file_hash[:12], type(error).__name__)
        MediaFile.objects.filter(id=file.id).update(description_error=type(error).__name__)
        release(file, claimant=claimant)
        return False
    except TransientProviderError:
        release(file, claimant=claimant)
        raise
    _save_description(file, description, claimant=claimant)
    return True


def _ask(file: MediaFile, content_type: str) -> Description:
    prompt = PROMPTS[Kind(file.kind)] + _FORM
    database.release_connection()  # no connection is held while the model thinks
    if not content_type:
        return describe(prompt=prompt, text=file.text)
    if content_type == file.content_type:
        with open_locally(file) as path:
            return describe(prompt=prompt, path=path, content_type=content_type)
    thumbnail = MediaFile(storage_name=file.thumbnail_name)
    with open_locally(thumbnail) as path:
        return describe(prompt=prompt, path=path, content_type=content_type)


@transaction.atomic
def _save_description(file: MediaFile, description: Description, *, claimant: int) -> None:
    MessageMedia.objects.filter(id=claimant).update(
        tokens=F("tokens") + description.input_tokens + description.output_tokens
    )
    MediaFile.objects.filter(id=file.id).update(
        description=description.description,
        # What we have read of a document ourselves is all of it; of what is spoken or pictured we have nothing.
        text=file.text or description.text,
        language=description.language[:16],
        described_by=description.model[:100],
        described_at=Now(),
        description_error="",
        claimed_by=None,
        claimed_at=None,
    )
    file.refresh_from_db()
