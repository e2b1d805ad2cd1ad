"""What every store must do. A path type's tests inherit this and give a ``store`` on its real server."""

from __future__ import annotations

import pytest

from storage.base import Store, Upload
from storage.errors import AlreadyExists, BadPath, Corrupt, PathMissing

DIRECTORY = "daily_20261124020000"
NAME = "2.0.1-beta_IoTDB_20261124020005.tar.gz"
PARTIAL = f".{NAME}.partial-7"


class StoreContract:
    """The contract; ``store`` is a fixture of the inheriting class, on an empty destination."""

    def begin(self, store: Store, name: str = NAME, partial: str = PARTIAL) -> Upload:
        return store.put(DIRECTORY, name, partial)

    def published(self, store: Store, content: bytes, name: str = NAME) -> str:
        upload = self.begin(store, name, f".{name}.partial-7")
        upload.write(content)
        upload.seal(len(content))
        return upload.publish()

    def names(self, store: Store) -> list[str]:
        return [entry.name for entry in store.list(DIRECTORY)]

    def test_a_published_file_is_read_back_whole(self, store: Store) -> None:
        content = bytes(range(256)) * 9000
        path = self.published(store, content)
        assert path == store.full_path(DIRECTORY, NAME)
        assert self.names(store) == [NAME]
        with store.open(DIRECTORY, NAME) as file:
            assert file.read() == content
        assert store.stat(DIRECTORY, NAME).size == len(content)

    def test_until_it_is_published_only_the_partial_name_is_seen(self, store: Store) -> None:
        upload = self.begin(store)
        upload.write(b"half")
        assert self.names(store) == [PARTIAL]
        upload.abort()

    def test_abort_leaves_nothing(self, store: Store) -> None:
        upload = self.begin(store)
        upload.write(b"half")
        upload.abort()
        upload.abort()
        assert self.names(store) == []

    def test_a_file_is_never_overwritten(self, store: Store) -> None:
        self.published(store, b"first")
        upload = self.begin(store)
        upload.write(b"second")
        upload.seal(6)
        with pytest.raises(AlreadyExists):
            upload.publish()
        upload.abort()
        with store.open(DIRECTORY, NAME) as file:
            assert file.read() == b"first"
        assert self.names(store) == [NAME]

    def test_two_writers_cannot_share_a_partial_name(self, store: Store) -> None:
        upload = self.begin(store)
        with pytest.raises(AlreadyExists):
            self.begin(store)
        upload.abort()

    def test_a_size_that_differs_is_found(self, store: Store) -> None:
        upload = self.begin(store)
        upload.write(b"12345")
        with pytest.raises(Corrupt):
            upload.seal(6)
        upload.abort()

    def test_truncate_goes_back(self, store: Store) -> None:
        upload = self.begin(store)
        upload.write(b"keep this")
        upload.write(b" and not this")
        upload.truncate(9)
        upload.write(b"!")
        upload.seal(10)
        with upload.reader() as reader:
            assert reader.read() == b"keep this!"
        upload.publish()

    def test_views_are_written_whole(self, store: Store) -> None:
        upload = self.begin(store)
        upload.write(memoryview(bytearray(b"abcdef"))[2:5])
        upload.seal(3)
        upload.publish()
        with store.open(DIRECTORY, NAME) as file:
            assert file.read() == b"cde"

    def test_list_of_an_absent_directory_is_empty(self, store: Store) -> None:
        assert store.list("nobody-made-this") == []

    def test_directories_at_the_root_are_listed_by_name(self, store: Store) -> None:
        before = set(store.directories())
        made = {"weekly_20261123010000", "täglich_20261124020000", DIRECTORY}
        for name in made:
            upload = store.put(name, NAME, PARTIAL)
            upload.write(b"x")
            upload.seal(1)
            upload.publish()
        found = store.directories()
        assert found == sorted(found)
        for name in made:
            store.delete(name, NAME)
        assert set(found) - before == made
        assert set(store.directories()) == before

    def test_delete_and_delete_again(self, store: Store) -> None:
        self.published(store, b"x")
        self.published(store, b"y", "other.tar.gz")
        store.delete(DIRECTORY, NAME)
        store.delete(DIRECTORY, NAME)
        assert self.names(store) == ["other.tar.gz"]

    def test_what_is_missing_is_said_to_be(self, store: Store) -> None:
        with pytest.raises(PathMissing):
            store.stat(DIRECTORY, NAME)
        with pytest.raises(PathMissing):
            store.open(DIRECTORY, NAME)

    def test_free_space_is_a_figure(self, store: Store) -> None:
        space = store.free_space()
        assert space is None or 0 <= space.free <= space.total

    @pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../x", "a\0b"])
    def test_names_cannot_leave_the_directory(self, store: Store, name: str) -> None:
        with pytest.raises(BadPath):
            store.put(name, "x", ".x.partial-1")
        with pytest.raises(BadPath):
            store.put(DIRECTORY, name, ".x.partial-1")
        with pytest.raises(BadPath):
            store.delete(DIRECTORY, name)
        with pytest.raises(BadPath):
            store.list(name)
