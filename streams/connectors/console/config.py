"""What a playbook says of the console."""

from typing import Literal

from pydantic import Field

from schemas.playbook import Destination


class ConsoleConfig(Destination):
    type: Literal["console"]
    in_flight_max: int = Field(1, ge=1, le=1, description="There is one standard output.")
