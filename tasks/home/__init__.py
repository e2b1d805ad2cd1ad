"""The Homepage: what needs somebody first, with its cure; then the last day and month, what grows, what comes next.

Everything is asked of the database in a fixed number of queries, none of which goes through the runs: what a page of
ten thousand tasks shows stands on the tasks, on their days and on the uncleared alarms.
"""
