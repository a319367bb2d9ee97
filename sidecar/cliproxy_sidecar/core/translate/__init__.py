"""One format's requests, answers, streams and errors in another's words. Pure; no byte is read or sent here.

`translation` is the door. The formats are named after what callers ask for: *chat* (OpenAI chat completions),
*messages* (Anthropic), *responses* (OpenAI). `to_messages_*` writes Anthropic's form from chat's, `to_chat_*`
the reverse, each with a request, its history, an answer and a stream; responses go by way of chat.

Rules that hold for all: a field that has an equal is put into its words; one that only says how to serve, not
what to answer, is left out and named (`left_out`, which callers see as a header); one that has no equal and
would change the answer is refused by name (`TranslationError`); an unknown one passes as it is.
"""
