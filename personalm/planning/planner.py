"""The planner: what becomes of each request of a bucket before anything is written.

In this order: a user who opted out gets nothing; what cannot be served is rejected with a reason;
a request whose fingerprint is that of the live row is unchanged; the rest are tasks, cut into
units. One user's inputs decide that user's plan alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from personalm.accounts import EVERYTHING
from personalm.breaker import Breaker
from personalm.drawing import num_candidates_of, sampling_of
from personalm.errors import SettingsError, is_of_a_row
from personalm.hashing import digest, subject_id_of
from personalm.planning.cases import Case, VoiceDigests
from personalm.planning.fingerprints import fingerprint_of
from personalm.planning.languages import normalise_language
from personalm.planning.ledger import Decided, Ledger, Plan
from personalm.planning.requirements import Problem, check_language, check_needs, find_kind
from personalm.planning.subjects import find_subject
from personalm.planning.tiers import tier_of
from personalm.planning.units import cut_units
from personalm.records import Key, Reason, Rejection, Request, Stage, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personalm.accounts import LiveRow, Scope
    from personalm.kinds import Kind
    from personalm.planning.catalogue import Catalogue
    from personalm.records import ModelCard, UserInputs
    from personalm.settings import Settings

LanguageDetector: TypeAlias = Callable[[Sequence[str]], str]
"""Returns the language of a user's texts, the default one where they are too few to tell."""


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
        editions: Mapping[str, str] | None = None,
    ) -> None:
        """Take what is the same for all users.

        `derived_kinds` are written where there is no requests table. `settings_digest` is a hash
        of the settings that change texts, `editions`, by kind, one of what was made of all users
        together and has a say in that kind's texts. Raises SettingsError for a derived kind
        without a template.
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
        self._settings_digests = {
            name: digest([settings_digest, edition]) for name, edition in (editions or {}).items()
        }
        self._settings_digest = settings_digest
        self._detect_language = detect_language
        self._breaker = Breaker()

    def plan(
        self,
        bucket: int,
        users: Iterable[UserInputs],
        *,
        has_requests: bool,
        live: Mapping[Key, LiveRow],
        scope: Scope = EVERYTHING,
        is_whole: bool = True,
    ) -> Plan:
        """Plan one bucket; `live` holds the rows published so far.

        `is_whole` says that `users` are all of the bucket: rows of users who are not among them
        are then asked for by nobody. Raises EngineError where one user after the other fails.
        """
        ledger = Ledger(live, scope=scope, is_whole=is_whole)
        voices = VoiceDigests()
        for user in users:
            user_id = user.profile.user_id
            if user.profile.opt_out:
                ledger.refuse(user_id, self._name_keys(user, has_requests=has_requests))
            else:
                ledger.enter(user_id, self._plan_user(user, voices, has_requests=has_requests))
        return ledger.close(
            bucket,
            lambda tasks: cut_units(
                bucket,
                tasks,
                unit_tokens=self._generation.unit_tokens,
                tokens_of=self._num_new_tokens,
            ),
        )

    def task_for(self, user: UserInputs, request: Request) -> Decided:
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

    def _plan_user(
        self, user: UserInputs, voices: VoiceDigests, *, has_requests: bool
    ) -> tuple[Decided, ...]:
        """Decide every request of a user; what this user's data break costs this user alone."""
        try:
            case = self._open(user, voices)
            decided = (
                tuple(self._decide(case, request) for request in user.requests)
                if has_requests
                else tuple(self._derive_all(case))
            )
        except Exception as error:
            if not is_of_a_row(error):
                raise
            message = f"planning failed: {type(error).__name__}"
            self._breaker.fail(user.profile.user_id, message)
            requests = self._requests_of(user, has_requests=has_requests)
            return tuple(_fail(request, message) for request in requests)
        self._breaker.succeed()
        return decided

    def _derive_all(self, case: Case) -> Iterator[Decided]:
        for kind in self._derived_kinds:
            derived = self._derive(case, kind)
            yield derived if isinstance(derived, Rejection) else self._decide(case, derived)

    def _requests_of(self, user: UserInputs, *, has_requests: bool) -> Iterator[Request]:
        """Name the requests of a user without a look at the user's data."""
        if has_requests:
            yield from user.requests
            return
        for kind in self._derived_kinds:
            yield _open_request(user.profile.user_id, kind)

    def _name_keys(self, user: UserInputs, *, has_requests: bool) -> Iterator[Key]:
        return (request.key for request in self._requests_of(user, has_requests=has_requests))

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
        # Nothing about the request matters where nothing can be written for the user.
        problem = check_language(case.language, kind, self._model.writer_of(kind.name))
        if problem is not None:
            return problem
        return find_subject(request, kind, case.profile, self._catalogue)

    def _decide(self, case: Case, request: Request) -> Decided:
        found = self._find(case, request)
        if isinstance(found, Problem):
            return self._reject(case, request, found)
        kind = self._kinds[request.kind]
        profile = case.profile
        problem = check_needs(case, found, kind)
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
            is_derived=request.is_derived,
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
            model=self._model.writer_of(request.kind),
            settings_digest=self._settings_digests.get(request.kind, self._settings_digest),
        )

    def _num_new_tokens(self, task: Task) -> int:
        front = self._kinds[task.request.kind].front
        num_tokens = sampling_of(front, self._generation).max_new_tokens
        return num_candidates_of(front, self._generation) * num_tokens


def _open_request(user_id: str, kind: str) -> Request:
    """Return a request that names nothing to write about."""
    return Request(user_id=user_id, kind=kind, subject_id=subject_id_of("", None), is_derived=True)


def _fail(request: Request, message: str) -> Rejection:
    """Reject a request that broke the planner; it is tried again in every run."""
    return Rejection(
        key=request.key,
        request_id=request.request_id,
        stage=Stage.PLANNING,
        reason=Reason.PLANNING_FAILED,
        message=message,
        fingerprint="",
        is_derived=request.is_derived,
    )
