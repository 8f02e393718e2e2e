import pytest

from equikpt.core.groups import GroupRule

RECORD = dict(id=7, file_name="Sample20/0001.png", video="ride 3", rider=12)

RULES = [
    (GroupRule(), "Sample20/0001.png"),
    (GroupRule(key="video"), "ride 3"),
    (GroupRule(key="rider"), "12"),
    (GroupRule(regex=r"(Sample\d+)/"), "Sample20"),
    (GroupRule(regex=r"/(\d\d)(\d\d)"), "00"),  # the first parentheses
]


@pytest.mark.parametrize(("rule", "group"), RULES, ids=["none", "key", "number", "regex", "first"])
def test_a_group_is_read_from_key_or_name(rule, group):
    assert rule.group(RECORD["file_name"], RECORD) == group


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(key="video", regex="(.)"), "give one of them"),
        (dict(regex="("), "is no regular expression"),
        (dict(regex="abc"), "has no parentheses"),
        (dict(key="horse"), "got None; its keys are id, file_name, video, rider"),
        (dict(regex=r"(\d+)_"), "finds no group in Sample20/0001.png"),
        (dict(regex=r"Sample(x*)"), "finds no group"),
    ],
    ids=["both", "unbalanced", "no parentheses", "no key", "no match", "empty match"],
)
def test_a_rule_that_names_no_group_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GroupRule(**options).group(RECORD["file_name"], RECORD)
