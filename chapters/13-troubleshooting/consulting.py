"""The consulting room over HTTP: what the page asks for, and what it is told."""

from aiohttp import web

from patient import Refused
from rounds import Rounds
from serving import check_origin
from the_course import Unavailable


class ConsultingRoom:
    """`GET /api/round` is the round as it is; `POST /api/round/ACTION` goes on with it."""

    def __init__(self) -> None:
        self.rounds = Rounds()

    def routes(self) -> list[web.AbstractRouteDef]:
        actions = "{action:next|guess|doctor|cure}"
        return [web.get("/api/round", self.act), web.post(f"/api/round/{actions}", self.act)]

    async def act(self, request: web.Request) -> web.Response:
        check_origin(request)  # no other page may start programs here
        language = "zh" if request.query.get("lang") == "zh" else "en"
        told: dict[str, object] = {}
        try:
            async with self.rounds.busy:
                match request.match_info.get("action"):
                    case "next":
                        await self.rounds.admit()
                    case "guess":
                        told["right"] = self.rounds.current().guess(request.query.get("choice", ""))
                    case "doctor":
                        told["report"] = await self.rounds.examine(language)
                    case "cure":
                        await self.rounds.cure()
                return web.json_response({**told, **self.rounds.told(language)})
        except Refused as error:
            raise web.HTTPConflict(reason=str(error)) from None
        except Unavailable as error:
            raise web.HTTPServiceUnavailable(reason=str(error).splitlines()[0][:300]) from None
