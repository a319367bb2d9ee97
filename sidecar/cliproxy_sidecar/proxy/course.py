"""What one request has tried, and which step may come next: decides, while `exchange` acts.

Nothing here awaits or sends. Weighing one failure is `core.retry`'s, choosing a target `core.selection`'s;
this module knows the request's history, the policy's last resort, and when it is time to refuse.
"""

from dataclasses import replace
from typing import Final, assert_never

from msgspec import structs

from cliproxy_api.chance import Chance
from cliproxy_api.vocabulary import Condensation, LastResort, OutcomeClass
from cliproxy_sidecar.core.choice import Chosen, Lack, NoTarget, SkipReason, Wanted
from cliproxy_sidecar.core.decisions import Trail
from cliproxy_sidecar.core.dialect import Need, form_of
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import Blocked
from cliproxy_sidecar.core.recording import record
from cliproxy_sidecar.core.retry import Budget, Failover, GiveUp, GiveUpReason, RetrySame, decide
from cliproxy_sidecar.core.scopes import scopes_of
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.proxy import unavailable
from cliproxy_sidecar.proxy.attempt import Answer, Failed
from cliproxy_sidecar.proxy.plan import Plan
from cliproxy_sidecar.proxy.refusal import Refusal
from cliproxy_sidecar.proxy.steps import Choose, Condense, PassOn, Refuse, Step, Try, Wait
from cliproxy_sidecar.runtime.machines import Machines

_OF_THE_REQUEST: Final = frozenset(
    {OutcomeClass.CLIENT, OutcomeClass.CONTEXT, OutcomeClass.TOO_BIG, OutcomeClass.FILTER}
)
"""The caller's own matter: what the provider says about it is for the caller to read."""
_OVER_BUDGET: Final = " It was not tried again: too many requests are (retryBudget of the ProxyProfile)."
MIN_BUDGET_S: Final = 0.001
"""What is left for an attempt that begins at the deadline; 0 would mean no limit to some clients."""


class Course:
    """The history of one request and what follows from it. `now` is monotonic seconds."""

    __slots__ = (
        "_chance",
        "_deadline",
        "_failures",
        "_fault",
        "_insisted",
        "_machines",
        "_objection",
        "_plan",
        "_tries",
        "_unfit",
        "_wait_until",
        "_wanted",
        "attempts",
        "trail",
    )

    def __init__(self, plan: Plan, machines: Machines, chance: Chance, wanted: Wanted) -> None:
        self._plan = plan
        self._machines = machines
        self._chance = chance
        self._wanted = wanted
        self.trail: Trail = []
        self.attempts = 0
        self._failures: dict[TargetId, Outcome] = {}
        self._tries: dict[str, int] = {}
        self._fault: PassOn | None = None
        self._objection: Refusal | None = None
        """Why the request cannot be put into the format of some who could serve it."""
        self._unfit: frozenset[TargetId] = frozenset()
        """Who they are."""
        self._deadline: float | None = None
        self._wait_until: float | None = None
        self._insisted = False
        """The least bad target has been asked: the last resort comes once."""

    def begin(self, target: Target, now: float) -> float:
        """Note that an attempt begins; return how long it may take, in seconds.

        The first target's total time-out is the request's deadline, shared by all attempts, unless the
        profile's retry budget is shorter.
        """
        total_s = target.provider.timeouts.total_s
        self.attempts += 1
        provider = target.provider_id
        if self._deadline is None:
            budget_s = self._plan.retry_timeout_s
            if total_s < budget_s:  # noqa: PLR1730 -- a call of min() costs ten times as much
                budget_s = total_s
            self._deadline = now + budget_s
            self._machines.further_attempts.began(now)
            self._tries[provider] = 1
            return budget_s
        self._tries[provider] = self._tries.get(provider, 0) + 1
        return min(total_s, max(self._deadline - now, MIN_BUDGET_S))

    def choose(self, now: float) -> Step:
        """Look for a target, or say what else to do."""
        found = self._plan.chooser.choose(self._wanted, now)
        record(self.trail, found, now)
        if isinstance(found, Chosen):
            self._machines.began(found.permit)
            return Try(found.target, found.permit)
        return self._last_resort(found, now)

    def _last_resort(self, lack: NoTarget, now: float) -> Step:
        """Do what the policy says when nobody can take the request as things stand."""
        if self._fault is not None:
            return self._fault
        if self._objection is not None and lack.reason is Lack.EXHAUSTED and not self._failures:
            return Refuse(self._objection)
        target = lack.least_bad
        if target is not None:
            rules = target.provider.cooldown
            if rules.last_resort is LastResort.USE_LEAST_BAD and not self._insisted and _is_hopeful(lack):
                self._insisted = True
                return Try(target, None)
            if rules.last_resort is LastResort.WAIT:
                self._wait_until = self._wait_until or now + rules.max_wait_s
                if now < min(self._wait_until, self._deadline or self._wait_until):
                    return Wait(min(self._wait_until, lack.until or self._wait_until))
        skipped = [
            replace(skip, blocked=self._blocked(skip.target, now)) if skip.why is SkipReason.TRIED else skip
            for skip in lack.skipped
            if skip.target.id not in self._unfit
        ]
        lack = replace(lack, skipped=tuple(skipped))
        return Refuse(unavailable.no_target(self._wanted.model, lack, self._failures, now))

    def limited(self, target: Target, now: float) -> bool:
        """Whether a limit of our own keeps the request from a target that was not just chosen."""
        return self._plan.chooser.limited(target, self._wanted.tokens, now) is not None

    def untranslatable(self, target: Target, refusal: Refusal) -> Step:
        """Go on without the targets for which the request has no equal; nothing was sent to this one."""
        self.attempts -= 1
        self._tries[target.provider_id] -= 1
        self._objection = self._objection or refusal
        groups = self._plan.table.groups(self._wanted.need, self._wanted.model) or ()
        form = form_of(target.provider)
        self._unfit |= {
            mate.id for group in groups for mate in group.targets if form_of(mate.provider) is form
        }
        self._wanted = structs.replace(self._wanted, exclude=self._wanted.exclude | self._unfit)
        return Choose()

    def after(self, target: Target, failed: Failed, now: float) -> Step:
        """Decide what follows a failed attempt."""
        outcome, provider = failed.outcome, target.provider
        mates = self._mates(target, outcome)
        for mate in mates:
            self._failures.pop(mate, None)
            self._failures[mate] = outcome
        if outcome.cls in _OF_THE_REQUEST and failed.answer is not None and self._is_safe(failed.answer):
            self._fault = PassOn(target, failed.answer)
        others = structs.replace(self._wanted, exclude=self._wanted.exclude | mates)
        budget = Budget(
            attempts_at_provider=self._tries[target.provider_id],
            attempts_total=self.attempts,
            max_attempts=self._plan.snapshot.profile.max_attempts,
            retries=provider.retries,
            left_s=(self._deadline or now) - now,
            max_wait_s=provider.cooldown.max_wait_s,
        )
        alternatives = self._plan.chooser.has_alternative(others, now)
        decision = decide(outcome, budget, alternatives=alternatives, chance=self._chance.random())
        if not isinstance(decision, GiveUp):
            rules = self._plan.snapshot.profile.retry_budget
            if not self._machines.further_attempts.take(rules, now):
                decision = GiveUp(GiveUpReason.BUDGET)
        match decision:
            case RetrySame():
                return Try(target, None, decision.delay_s)
            case Failover() | GiveUp(GiveUpReason.NO_ALTERNATIVE):
                # Without an alternative the last resort may still know one.
                self._wanted = others
                return Choose()
            case GiveUp():
                blocked = self._blocked(target, now)
                refusal = unavailable.failed(self._wanted.model, target, outcome, blocked, now)
                if decision.reason is GiveUpReason.BUDGET:
                    refusal = replace(refusal, message=refusal.message + _OVER_BUDGET)
                end = self._fault or Refuse(refusal)
                return Condense(target, end) if self._may_condense(outcome, now) else end
            case _:
                assert_never(decision)

    def instead(self, model: str) -> Step:
        """Go on with another model."""
        self._wanted = structs.replace(self._wanted, model=model)
        return Choose()

    @property
    def model(self) -> str:
        """The public name of the model that is looked for at present."""
        return self._wanted.model

    def _may_condense(self, outcome: Outcome, now: float) -> bool:
        """Whether a further attempt with a request that fits is wanted and within all budgets."""
        profile = self._plan.snapshot.profile
        return (
            outcome.cls is OutcomeClass.CONTEXT
            and profile.condensation is not Condensation.NONE
            and self._wanted.need is Need.CONVERSATION
            and self.attempts < profile.max_attempts
            and (self._deadline or now) > now
            and self._machines.further_attempts.take(profile.retry_budget, now)
        )

    def _mates(self, target: Target, outcome: Outcome) -> set[TargetId]:
        """Return the targets that share the fault: another key of a broken model would fail alike."""
        scopes = set(scopes_of(outcome, target.provider, target.credential.name, target.model.upstream_name))
        groups = self._plan.table.groups(self._wanted.need, self._wanted.model) or ()
        return {target.id} | {
            mate.id for group in groups for mate in group.targets if not scopes.isdisjoint(mate.scopes)
        }

    def _blocked(self, target: Target, now: float) -> Blocked | None:
        return self._machines.cooldowns.peek(target, now)

    def _is_safe(self, answer: Answer) -> bool:
        """Whether a refusal may be shown: some providers repeat the key they were given."""
        return not any(secret in chunk for chunk in answer.held for secret in self._plan.secrets)


def _is_hopeful(lack: NoTarget) -> bool:
    """Whether the least bad target may work: no dead key or empty account, and no person took it out."""
    blocked = next((skip.blocked for skip in lack.skipped if skip.target is lack.least_bad), None)
    return blocked is None or blocked.rank == 0
