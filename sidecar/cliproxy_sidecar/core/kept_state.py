"""What of a fleet state that was kept on disk may be believed after a restart."""

from datetime import datetime

import msgspec

from cliproxy_api.state import FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase


def still_cooling(push: StatePush, now_utc: datetime) -> StatePush:
    """Return the kept state as of now: what cools still, and what was on its way back, from the beginning.

    A scope that was half open or in its ramp cools until now, so that it is tried anew, alone if need be: the
    permit and the share were the word of an operator that may be away. Verdicts of probes and who probes what
    are not kept. Times are this machine's clock, which the operator's may differ from by its skew.
    """
    cooldowns = tuple(_cooling(one, now_utc) for one in push.state.cooldowns)
    return StatePush(position=push.position, sent_at_utc=now_utc, state=FleetState(cooldowns=cooldowns))


def _cooling(one: FleetCooldown, now_utc: datetime) -> FleetCooldown:
    if one.phase is CooldownPhase.COOLING:
        return one
    return msgspec.structs.replace(
        one, phase=CooldownPhase.COOLING, until_utc=now_utc, trial_sidecar=None, share_percent=0
    )
