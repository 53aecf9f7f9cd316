"""A pretend phone and a pretend Twilio, so that the bot can be tried without keys.

Nothing here is imported by the bot, and nothing of the bot is imported here: both sides speak Twilio's
protocol (contracts/twilio-whatsapp.md) over HTTP, so the code that answers a simulated phone is the code that
answers a real one.
"""
