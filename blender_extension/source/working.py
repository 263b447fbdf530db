# SPDX-License-Identifier: GPL-3.0-or-later
"""How an operator works: all at once, or in steps beside the window.

An operator's `steps` is a generator. It yields `Told`, where it stands, and `Aside`, a call that
needs nothing of Blender, and is sent what the call returned. From a script all steps run at once.
In the window a timer takes one after the other, calls run in a thread, and Esc ends it: Blender's
data is touched by the main thread alone, and what a generator holds open it tidies up when closed.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any

import bpy

from backproject.errors import BackprojectError

EXPECTED = (BackprojectError, OSError, MemoryError, ImportError)
"""What is said in one line. Anything else is a fault of ours and keeps its traceback."""
INTERVAL = 0.05
"""Seconds between two looks at the work, in the window."""


@dataclass(frozen=True)
class Told:
    """What is being done, and the share of it that is finished, from 0 to 1."""

    what: str
    share: float


@dataclass
class Aside:
    """A call that needs nothing of Blender; if it `listens`, it takes a `progress` to tell."""

    call: Callable[..., Any]
    listens: bool = False
    told: Told | None = None
    stopped: bool = False
    result: Any = None
    failure: BaseException | None = None
    thread: Thread | None = field(default=None, repr=False)

    def run(self) -> None:
        """Call it, and keep what it returned or raised."""
        try:
            self.result = self.call(progress=self._tell) if self.listens else self.call()
        except BaseException as failure:
            self.failure = failure

    def start(self) -> None:
        """Call it in a thread."""
        # A daemon, or Blender would wait for all of it to quit; so it waits for one kernel at most.
        self.thread = Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        return self.thread is not None and self.thread.is_alive()

    def _tell(self, what: str, share: float) -> None:
        if self.stopped:
            raise _Stopped
        self.told = Told(what, share)


class _Stopped(BaseException):
    """Ends a call that nobody waits for any more: no error of it is of interest."""


Steps = Generator[Told | Aside, Any, str]
"""The steps of an operator; what it returns is said when all is done."""


def aside(call: Callable[..., Any], *arguments: Any, **options: Any) -> Aside:
    """Return a call to be made beside Blender."""
    return Aside(partial(call, *arguments, **options))


def listening(call: Callable[..., Any], *arguments: Any, **options: Any) -> Aside:
    """Return a call to be made beside Blender that tells its progress."""
    return Aside(partial(call, *arguments, **options), listens=True)


class Work:
    """An operator's steps under way."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._aside: Aside | None = None
        self._told = Told("starting", 0.0)
        self.said: str | None = None

    @property
    def told(self) -> Told:
        """Where it stands."""
        return (self._aside and self._aside.told) or self._told

    def finish(self) -> str:
        """Take all steps, one after the other, and return what is to be said."""
        while self.said is None:
            self._step()
            if self._aside is not None:
                self._aside.run()
        return self.said

    def advance(self) -> bool:
        """Take a step unless a call is running, and return whether there is more to do."""
        if self._aside is not None and self._aside.running:
            return True
        self._step()
        if self._aside is not None:
            self._aside.start()
        return self.said is None

    def stop(self) -> None:
        """End it where it stands: a running call at its next word, and nobody waits for it."""
        if self._aside is not None:
            self._aside.stopped = True
        self._steps.close()

    def _step(self) -> None:
        done, self._aside = self._aside, None
        try:
            if done is not None and done.failure is not None:
                taken = self._steps.throw(done.failure)
            else:
                taken = self._steps.send(done.result if done is not None else None)
        except StopIteration as end:
            self.said = end.value
            return
        if isinstance(taken, Aside):
            self._aside = taken
        else:
            self._told = taken


class Stepwise:
    """What every operator of this extension shares."""

    bl_options = {"REGISTER", "UNDO"}

    def steps(self, context: Any) -> Steps:
        """Do the work, step by step, and return what to say of it."""
        raise NotImplementedError

    @classmethod
    def why_not(cls, context: Any) -> str | None:
        """Return why it cannot be done now, if so."""
        if context.mode != "OBJECT":
            return "Works in Object Mode only"
        if any(each.bl_idname.startswith("BACKPROJECT_OT_") for each in _running(context)):
            return "Another step is at work: wait for it, or press Esc"
        return None

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Return whether it can be done now, and tell Blender why not."""
        reason = cls.why_not(context)
        if reason is not None:
            cls.poll_message_set(reason)
        return reason is None

    def execute(self, context: Any) -> set[str]:
        """Do it at once."""
        return self._reported(Work(self.steps(context)).finish)

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Do it in steps, beside the window."""
        del event
        if bpy.app.background:
            return self.execute(context)
        self._work = Work(self.steps(context))
        manager = context.window_manager
        self._timer = manager.event_timer_add(INTERVAL, window=context.window)
        manager.progress_begin(0, 100)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        """Take the next step, or end at Esc. Meanwhile nobody else changes the scene."""
        if event.type == "ESC":
            self.cancel(context)
            self.report({"WARNING"}, f"{self.bl_label}: stopped")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        state = self._reported(self._advance)
        if state == {"RUNNING_MODAL"}:
            told = self._work.told
            context.window_manager.progress_update(100 * told.share)
            context.workspace.status_text_set(
                f"{self.bl_label}: {told.what}, {told.share:.0%}   (Esc stops it)"
            )
        else:
            self._leave(context)
        return state

    def cancel(self, context: Any) -> None:
        """End it: at Esc, or when Blender closes the window."""
        self._work.stop()
        self._leave(context)

    def _advance(self) -> str | None:
        return None if self._work.advance() else self._work.said

    def _leave(self, context: Any) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        if context.window is None:  # Blender ends
            return
        context.workspace.status_text_set(None)
        for area in context.screen.areas:  # a timer's changes are not drawn by themselves
            area.tag_redraw()

    def _reported(self, work: Callable[[], str | None]) -> set[str]:
        """Work, and report what came of it in one line: nothing if it goes on."""
        try:
            said = work()
        except EXPECTED as error:
            self.report({"ERROR"}, " ".join(str(error).split()) or type(error).__name__)
            return {"CANCELLED"}
        if said is None:
            return {"RUNNING_MODAL"}
        self.report({"INFO"}, said)
        return {"FINISHED"}


def _running(context: Any) -> Any:
    """Return the operators that are at work in the window, if there is one."""
    return context.window.modal_operators if context.window else ()
