"""The views of one agent's work: its files, checkpoints, tasks, usage. Fetched while they are in sight."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from textual import on

from ...healing.detect import missed_beats
from ..feed import Source
from ..looks import Glyphs, clean
from ..prose import Page
from ..taskpage import tasks_page
from ..tones import Tone
from ..usage import Counted, Samples, usage_page
from ..widgets.still import PickView, StillView
from ..work import Diff, Saved, WorkError
from ..workfeed import Wanted, WorkFeed, WorkSeen
from ..workpages import diff_page, files_page, opened_page, saved_page
from .folder import FolderScreen
from .parts import FleetParts

NEEDED = {"work": ("files", "saved"), "checkpoints": ("saved",), "tasks": ("tasks",), "usage": ("spent",)}
"""What must be fetched for a tab."""


class Working(FleetParts):
    """Tabs 4 and 5 have two faces each: a list, and behind enter the difference from a checkpoint."""

    def __init__(self, source: Source, glyphs: Glyphs) -> None:
        super().__init__(source, glyphs)
        self.samples = Samples()
        self._workfeed = WorkFeed(lambda: source.work, self.post_message)
        self.feed.join(self._workfeed.beat)
        self._seen_work: dict[str, WorkSeen] = {}
        self._worker: str | None = None
        """Whose work that is."""
        self._against: int | None = None
        """The checkpoint that was chosen to compare with; None: the newest."""
        self._diffing = False
        """Tab 4 shows the difference."""
        self._goal: str | None = None
        """The file whose changes are wanted there."""
        self._opened: int | None = None
        """The checkpoint that tab 5 shows in full."""
        self._shown: dict[str, tuple[object, ...]] = {}

    # -- what is fetched --------------------------------------------------------------------------
    def _look_where_one_looks(self) -> None:
        super()._look_where_one_looks()
        agent = self.agents.agent
        if agent != self._worker:
            self._worker, self._seen_work = agent, {}
            self._against, self._opened, self._diffing = None, None, False
        self._workfeed.want(*self._wanted(agent))

    def _wanted(self, agent: str | None) -> list[Wanted]:
        if agent is None or not self.query_one("#agent").display:
            return []
        wanted = [Wanted(what, agent) for what in NEEDED.get(self.tab, ())]
        if (self.tab == "work" and self._diffing) or (self.tab == "checkpoints" and self._opened is not None):
            wanted.append(Wanted("diff", agent, self._against))
        return wanted

    @on(WorkSeen)
    def _work_seen(self, message: WorkSeen) -> None:
        one = message.wanted
        if one.agent != self._worker or (one.what == "diff" and one.seq != self._against):
            return
        self._seen_work[one.what] = message
        self._paint_work(self.fleet.at)

    # -- faces ------------------------------------------------------------------------------------
    def _open_work(self, what: object) -> None:
        """Enter on a line of tab 4 or 5."""
        if self.tab == "work" and not self._diffing:
            self._diffing, self._goal = True, str(what)
        elif self.tab == "checkpoints" and self._opened is None and isinstance(what, int):
            self._opened = what
            if self._against != what:
                self._against = what
                self._seen_work.pop("diff", None)
        else:
            return
        self._look_where_one_looks()
        self._paint_work(self.fleet.at)

    def _leave_face(self) -> bool:
        """Back to the list; whether there was anything to leave."""
        if self.tab == "work" and self._diffing:
            self._diffing = False
        elif self.tab == "checkpoints" and self._opened is not None:
            self._opened = None
        else:
            return False
        self._look_where_one_looks()
        self._paint_work(self.fleet.at)
        return True

    # -- bringing a checkpoint back ---------------------------------------------------------------
    def action_restore_files(self) -> None:
        """Ask for the folder; what is written is beside the work, never over it."""
        agent, one = self.selected, self._chosen_checkpoint()
        if agent is None or one is None:
            self.app.notify("choose a checkpoint in tab 5 first", severity="warning", markup=False)
        elif not one.restorable:
            told = f"checkpoint {one.seq} has no files to bring back: {clean(one.standing, 60)}"
            self.app.notify(told, severity="warning", markup=False)
        else:
            ask = FolderScreen(agent.id, agent.title, one.seq)
            _ = self.app.push_screen(ask, partial(self._restore, agent.id, one.seq))

    def _chosen_checkpoint(self) -> Saved | None:
        if self.tab != "checkpoints":
            return None
        seq = self._opened if self._opened is not None else self.query_one("#checkpoints", PickView).chosen
        return next((one for one in self._saved() if one.seq == seq), None)

    def _restore(self, agent: str, seq: int, to: str | None) -> None:
        if to:
            self.app.notify(f"bringing back the files of checkpoint {seq} ...", timeout=3, markup=False)
            work = partial(self._restore_in_thread, agent, seq, to)
            self.app.run_worker(work, thread=True, group="restore")

    def _restore_in_thread(self, agent: str, seq: int, to: str) -> None:
        try:
            place = Path(to).expanduser()
            if not place.is_absolute():
                raise WorkError(f"{to} is no full path; name the folder from / or ~ on")
            told = self.source.work.restore(agent, seq, place)
        except Exception as error:  # noqa: BLE001  # whatever it is, the person is told, and the screen goes on
            self.app.notify(
                clean(f"nothing was brought back: {error}", 400), severity="error", timeout=15, markup=False
            )
            return
        self.app.notify(clean(told, 400), timeout=15, markup=False)

    # -- painting ---------------------------------------------------------------------------------
    def _paint_work(self, now: float) -> None:
        """The tab in sight, if it is one of these; made anew once a second, or when something came."""
        if self.tab not in NEEDED:
            return
        view, agent = self.query_one(f"#{self.tab}", StillView), self.agents.agent
        face = (self._diffing, self._opened, self._against)
        key = (agent, int(now), view.room, *face, *self._seen_work.values())
        if self._shown.get(self.tab) == key:
            return
        self._shown[self.tab] = key
        make: dict[str, Callable[[float, int], Page]] = {
            "work": self._work_page,
            "checkpoints": self._saved_page,
            "tasks": self._tasks_page,
            "usage": self._usage_page,
        }
        page = make[self.tab](now, view.room)
        if isinstance(view, PickView):
            view.put_page(page, (agent, self._diffing if self.tab == "work" else self._opened))
            if self.tab == "work" and self._goal is not None and "diff" in self._seen_work and self._diffing:
                self._reach_goal(view, page)
        else:
            view.put_page(page)

    def _reach_goal(self, view: PickView, page: Page) -> None:
        """To the changes of the file that was chosen."""
        goal, self._goal = self._goal or "", None
        line = page.places.get(goal)
        if line is not None:
            view.reach(line)
        elif page.places:
            self.app.notify(f"{clean(goal, 80)} has not changed since", timeout=4, markup=False)

    def _work_page(self, now: float, width: int) -> Page:
        if self._diffing:
            return self._diff_page(now, width) or Page(((("comparing ...", Tone.QUIET),),))
        files = self._got("files")
        if isinstance(files, str):
            return _words(files)
        saved = self._saved()
        able = [one for one in saved if one.restorable and self._against in (None, one.seq)]
        against = able[0] if able else None
        return files_page(files, against, now, width, self.glyphs.plain)

    def _diff_page(self, now: float, width: int) -> Page | None:
        if "diff" not in self._seen_work:
            return None
        diff = self._got("diff")
        return _words(diff) if isinstance(diff, str) else diff_page(cast("Diff", diff), now, width)

    def _saved_page(self, now: float, width: int) -> Page:
        saved = self._got("saved")
        if isinstance(saved, str):
            return _words(saved)
        one = next((one for one in self._saved() if one.seq == self._opened), None)
        if one is None:
            return saved_page(self._saved(), now, width)
        fleet, agent = self.fleet.name, self.agents.agent or ""
        return opened_page(one, fleet, agent, self._diff_page(now, width), now, width)

    def _tasks_page(self, now: float, width: int) -> Page:
        agent, past = self.agents.agent or "", self._got("tasks")
        spec = self.seen.spec.agents.get(agent) if self.seen.spec is not None else None
        state = self.seen.states.get(agent)
        if isinstance(past, str) and "tasks" in self._seen_work:
            return _words(past)
        known = None if isinstance(past, str) else past
        return tasks_page(known, state, spec, now, width, self.glyphs.plain)

    def _usage_page(self, now: float, width: int) -> Page:
        agent = self.selected
        if agent is None:
            return Page(())
        state = self.seen.states.get(agent.id)
        spec = self.seen.spec.agents.get(agent.id) if self.seen.spec is not None else None
        counted = Counted()
        if state is not None:
            missed = missed_beats(state, spec, now) if spec is not None and agent.trace.get("beat") else None
            counted = Counted(state.threads, state.moved, missed)
        spent = self._seen_work.get("spent")
        told: Any = None
        if spent is not None:
            told = spent.fault or spent.value or "its agent CLI keeps no transcript that could be read"
        return usage_page(agent, self.samples.of(agent.id), counted, told, now, width, self.glyphs.plain)

    def _got(self, what: str) -> Any:
        """What came of `what`, or in words why nothing did, or not yet."""
        seen = self._seen_work.get(what)
        if seen is None:
            return f"reading its {what} ..."
        return seen.fault or seen.value

    def _saved(self) -> tuple[Saved, ...]:
        saved = self._got("saved")
        return () if isinstance(saved, str) else saved


def _words(told: str) -> Page:
    return Page((((clean(told, 400), Tone.QUIET),),))
