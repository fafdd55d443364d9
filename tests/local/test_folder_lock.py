"""One stack for each folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.local.folder_lock import FolderInUse, FolderLock, is_in_use


def test_a_folder_is_in_use_until_its_lock_is_released(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    assert not is_in_use(tmp_path)
    lock.acquire()
    assert is_in_use(tmp_path)
    lock.release()
    assert not is_in_use(tmp_path)


def test_a_second_lock_says_which_process_has_the_first(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(FolderInUse) as refused:
        FolderLock(tmp_path).acquire()
    assert str(refused.value) == f"{tmp_path} is in use: it runs already, as process {os.getpid()}"
    first.release()


def test_a_child_that_inherits_the_lock_keeps_it(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=lock.inherited
    ) as child:
        lock.release()
        assert is_in_use(tmp_path)
        child.communicate(b"\n")
    assert not is_in_use(tmp_path)
