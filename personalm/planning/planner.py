"""The planner: what becomes of each request of a bucket before anything is written.

In this order: a user who opted out gets nothing; a request whose fingerprint is that of the live
row is unchanged; what cannot be served is rejected with a reason; the rest are tasks, cut into
units. One user's inputs decide that user's plan alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from personalm.discreet import Discreet
from personalm.errors import SettingsError
from personalm.hashing import subject_id_of
from personalm.planning.cases import Case, VoiceDigests
from personalm.planning.fingerprints import fingerprint_of
from personalm.planning.languages import normalise_language
from personalm.planning.requirements import Problem, check_language, check_needs, find_kind
from personalm.planning.subjects import find_subject
from personalm.planning.tiers import tier_of
from personalm.planning.units import cut_units
from personalm.records import Key, Outcome, Reason, Rejection, Request, Stage, Task, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.kinds import Kind
    from personalm.planning.catalogue import Catalogue
    from personalm.records import ModelCard, UserInputs
    from personalm.settings import Settings

LanguageDetector: TypeAlias = Callable[[Sequence[str]], str]
"""Returns the language of a user's texts, the default one where they are too few to tell."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(Discreet):
    """What is to be done for one bucket.

    num_requests = tasks of units + rejected + unchanged + opted_out. `withdrawn` are the users
    who opted out: whatever is live of theirs goes.
    """

    bucket: int
    units: tuple[Unit, ...]
    rejected: tuple[Outcome, ...]
    unchanged: tuple[Key, ...]
    opted_out: tuple[Key, ...]
    withdrawn: frozenset[str]

    @property
    def num_requests(self) -> int:
        """Requests of the bucket, whatever becomes of them."""
        num_tasks = sum(len(unit.tasks) for unit in self.units)
        return num_tasks + len(self.rejected) + len(self.unchanged) + len(self.opted_out)


class Planner:
    """Turns the inputs of users into tasks, for a bucket or for one user."""

    def __init__(
        self,
        *,
        kinds: Mapping[str, Kind],
        derived_kinds: tuple[str, ...],
        catalogue: Catalogue,
        model: ModelCard,
        settings: Settings,
        settings_digest: str,
        detect_language: LanguageDetector,
    ) -> None:
        """Take what is the same for all users.

        `derived_kinds` are written where there is no requests table. `settings_digest` is a hash
        of the settings that change texts. Raises SettingsError for a derived kind without a
        template.
        """
        for name in derived_kinds:
            if name not in kinds:
                raise SettingsError(
                    f"kinds: there is no template for {name!r}",
                    remedy=f"Known kinds are {', '.join(sorted(kinds))}.",
                )
        self._kinds = kinds
        self._derived_kinds = derived_kinds
        self._catalogue = catalogue
        self._model = model
        self._generation = settings.generation
        self._settings_digest = settings_digest
        self._detect_language = detect_language

    def plan(
        self,
        bucket: int,
        users: Iterable[UserInputs],
        *,
        has_requests: bool,
        live: Mapping[Key, str],
    ) -> Plan:
        """Plan one bucket; `live` holds the fingerprints of the rows published so far."""
        tasks: list[Task] = []
        rejected: list[Outcome] = []
        unchanged: list[Key] = []
        opted_out: list[Key] = []
        withdrawn: set[str] = set()
        voices = VoiceDigests()
        for user in users:
            if user.profile.opt_out:
                withdrawn.add(user.profile.user_id)
                opted_out.extend(self._refused_keys(user, has_requests=has_requests))
                continue
            case = self._open(user, voices)
            planned_all = (
                self._decide_all(case, user.requests) if has_requests else self._derive_all(case)
            )
            for planned in planned_all:
                key = planned.request.key if isinstance(planned, Task) else planned.key
                if live.get(key) == planned.fingerprint:
                    unchanged.append(key)
                elif isinstance(planned, Task):
                    tasks.append(planned)
                else:
                    rejected.append(Outcome(rejection=planned))
        return Plan(
            bucket=bucket,
            units=cut_units(
                bucket,
                tasks,
                unit_tokens=self._generation.unit_tokens,
                tokens_of=self._num_new_tokens,
            ),
            rejected=tuple(rejected),
            unchanged=tuple(unchanged),
            opted_out=tuple(opted_out),
            withdrawn=frozenset(withdrawn),
        )

    def task_for(self, user: UserInputs, request: Request) -> Task | Rejection:
        """Turn one request of a user into a task, or say why it cannot be served."""
        case = self._open(user, VoiceDigests())
        if user.profile.opt_out:
            problem = Problem(Reason.OPTED_OUT, "the user has opted out")
            return self._reject(case, request, problem)
        return self._decide(case, request)

    def derive(self, user: UserInputs, kind: str) -> Request | Rejection:
        """Make the request of a user who asked for nothing particular."""
        return self._derive(self._open(user, VoiceDigests()), kind)

    def _open(self, user: UserInputs, voices: VoiceDigests) -> Case:
        profile = user.profile
        language = normalise_language(profile.language) or self._detect_language(profile.texts)
        return Case(user, language=language, voices=voices)

    def _decide_all(self, case: Case, requests: Iterable[Request]) -> Iterator[Task | Rejection]:
        for request in requests:
            yield self._decide(case, request)

    def _derive_all(self, case: Case) -> Iterator[Task | Rejection]:
        for kind in self._derived_kinds:
            derived = self._derive(case, kind)
            yield derived if isinstance(derived, Rejection) else self._decide(case, derived)

    def _refused_keys(self, user: UserInputs, *, has_requests: bool) -> Iterator[Key]:
        """Name the requests of a user who opted out, without a look at the user's data."""
        if has_requests:
            yield from (request.key for request in user.requests)
            return
        for kind in self._derived_kinds:
            yield _open_request(user.profile.user_id, kind).key

    def _derive(self, case: Case, kind_name: str) -> Request | Rejection:
        request = _open_request(case.profile.user_id, kind_name)
        found = self._find(case, request)
        if isinstance(found, Problem):
            return self._reject(case, request, found)
        subject_id = found.item.item_id if found.item else subject_id_of(found.subject or "", None)
        return replace(found, subject_id=subject_id)

    def _find(self, case: Case, request: Request) -> Request | Problem:
        kind = find_kind(self._kinds, request.kind)
        if isinstance(kind, Problem):
            return kind
        return find_subject(request, kind, case.profile, self._catalogue)

    def _decide(self, case: Case, request: Request) -> Task | Rejection:
        found = self._find(case, request)
        if isinstance(found, Problem):
            return self._reject(case, request, found)
        kind = self._kinds[request.kind]
        profile = case.profile
        problem = check_needs(case, found, kind) or check_language(case.language, kind, self._model)
        if problem is not None:
            return self._reject(case, found, problem)
        return Task(
            request=found,
            profile=profile,
            voice=case.voice_of(found) or profile,
            thread=case.thread_of(found),
            tier=tier_of(len(profile.texts)),
            language=case.language,
            fingerprint=self._fingerprint(case, found),
        )

    def _reject(self, case: Case, request: Request, problem: Problem) -> Rejection:
        return Rejection(
            key=request.key,
            request_id=request.request_id,
            stage=Stage.PLANNING,
            reason=problem.reason,
            message=problem.message,
            fingerprint=self._fingerprint(case, request),
        )

    def _fingerprint(self, case: Case, request: Request) -> str:
        kind = self._kinds.get(request.kind)
        return fingerprint_of(
            request=request,
            profile=case.profile_digest,
            voice=case.voice_digest_of(request),
            language=case.language,
            thread=case.thread_of(request),
            kind=kind.digest if kind else None,
            model=self._model,
            settings_digest=self._settings_digest,
        )

    def _num_new_tokens(self, task: Task) -> int:
        front = self._kinds[task.request.kind].front
        candidates = self._generation.candidates or front.candidates
        return candidates * (self._generation.max_new_tokens or front.max_new_tokens)


def _open_request(user_id: str, kind: str) -> Request:
    """Return a request that names nothing to write about."""
    return Request(user_id=user_id, kind=kind, subject_id=subject_id_of("", None))
