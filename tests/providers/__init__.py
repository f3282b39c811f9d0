"""Providers on loopback, as strict as the real ones: they refuse what those refuse, in their words.

`server` is the framework: real HTTP, and a script of faults per route. Each provider is a module with an `Api`: its
state and its routes. A test starts a server with the APIs it needs, scripts faults, and asks the API what has landed.

    slack = SlackApi()
    async with ProviderServer(slack) as server:
        server.script("chat.postMessage", dropped(commit=True))
        ...
        assert slack.texts("C0TEAM") == ["acme: at risk"]

APIs read the time from a `ManualClock`, so that rate limits are exact however slow the machine is.
"""
