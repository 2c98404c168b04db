"""Files and folders that only their owner may change, or read: checked before they are trusted."""

import os
import stat
from pathlib import Path

from daena_kms.errors import ConfigError

#: No key file is longer.
_MOST = 65_536
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path, most: int = _MOST, *, secret: bool = True) -> bytes:
    """Return the content of a file that nobody else may write, nor read if it is a secret.

    The checks are made on the opened file, so that it can't be exchanged in between. A pipe or a
    device is refused without waiting for it.

    Args:
        path: The file, or a link to it.
        most: How many bytes it may have.
        secret: Whether others must not read it either.

    Raises:
        ConfigError: It is no regular file, belongs to somebody else, is open to others or longer.
        OSError: It can't be opened or read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    seen = os.fstat(handle)
    if not stat.S_ISREG(seen.st_mode):  # Python would open no folder
        os.close(handle)
        raise ConfigError(f"{path} is not a regular file", todo="Put a file in its place")
    with os.fdopen(handle, "rb") as file:
        check_owner(path, seen)
        if secret and seen.st_mode & _OTHERS:
            raise ConfigError(f"{path} is readable by others", todo=f"Run: chmod 600 {path}")
        check_not_writable(path, seen)
        data = file.read(most + 1)
    if len(data) > most:
        raise ConfigError(f"{path} has more than {most} bytes", todo="Put the right file there")
    return data


def check_owner(path: Path, seen: os.stat_result) -> None:
    """Refuse what belongs to another user; what belongs to root is as safe as the machine.

    Raises:
        ConfigError: It does. ``todo`` has the command that mends it.
    """
    if seen.st_uid not in {os.geteuid(), 0}:
        msg = f"{path} belongs to another user (uid {seen.st_uid})"
        todo = f"Run this as that user, or as root: chown {os.geteuid()} {path}"
        raise ConfigError(msg, todo=todo)


def check_not_writable(path: Path, seen: os.stat_result) -> None:
    """Refuse what somebody else owns or may write.

    Raises:
        ConfigError: ``todo`` has the command that mends it.
    """
    check_owner(path, seen)
    if seen.st_mode & _OTHERS_WRITE:
        raise ConfigError(f"others may write to {path}", todo=f"Run: chmod go-w {path}")


def check_folder(folder: Path, own: str = "Put the file into a folder of your own") -> None:
    """Refuse a folder in which others may exchange files, or which others may exchange.

    Links are followed: the folder that they lead to counts, with every folder above it. One that
    everybody may write is fine only with the sticky bit, as ``/tmp`` has it.

    Args:
        folder: The folder.
        own: What to do where it is itself such a folder of everybody's, whose mode must stay.

    Raises:
        ConfigError: ``todo`` has the command that mends it.
        OSError: It can't be looked at.
    """
    real = folder.resolve(strict=True)
    seen = real.stat()
    if seen.st_mode & stat.S_ISVTX and seen.st_mode & _OTHERS_WRITE:
        raise ConfigError(f"others may write to {folder}", todo=f"{own} in it")
    check_not_writable(folder, seen)
    for parent in real.parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            msg = f"everybody may write to {parent}, and so replace {folder}"
            raise ConfigError(msg, todo=f"Run: chmod o-w {parent}")
