"""Tests of runs; what a restored server must show explains a failed assertion as well as they do."""

import pytest

pytest.register_assert_rewrite("tests.engine.iotdb_writers")
