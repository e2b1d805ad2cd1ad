"""Tests of stores; what they inherit explains a failed assertion as well as they do."""

import pytest

pytest.register_assert_rewrite("tests.storage.contract", "tests.storage.faults")
