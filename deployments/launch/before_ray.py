"""What must stand in the environment before Ray is imported: it reads these once, and early."""

BEFORE_RAY = {
    # Ray asks this of macOS and Windows only; with it every port of the cluster stays on loopback.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray's default for a local cluster, said aloud: its token lies in ~/.ray/auth_token.
    "RAY_AUTH_MODE": "token",
}
