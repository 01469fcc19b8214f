"""A process that has everything imported, and of which Ray's workers are forked.

Ray starts a worker by running Python twice, and each run imports Ray, Serve and whatever its actor
needs: five seconds of processor time before a replica begins its own work, a dozen times at a
start, and again whenever a replica dies. The zygote pays for that once.

`stand_in` runs in the process that Ray starts: it sends what it was asked to run to the zygote and
stays in its place. `zygote` forks, `worker` is what the fork does. Whatever is unusual about a
worker, and every worker when there is no zygote, starts as Ray starts it.
"""
