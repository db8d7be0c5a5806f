# Sourced by setup.sh: what package-lock.json names, in node_modules. Installed as the user who owns the checkout.

install_npm_packages() {
  lock_digest=$(sha256sum <"$root/package-lock.json")
  stamp=$root/node_modules/.sluice-lock-digest
  if [ "$(cat "$stamp" 2>/dev/null)" != "$lock_digest" ]; then
    # Someone who ran `npm install` has the packages, but not the stamp: no need to fetch them all again.
    node "$here/is-installed.mjs" "$root" || fetch_npm_packages
    check_node
    printf '%s\n' "$lock_digest" >"$stamp"
  fi
}

# Not `npm ci`: it refuses a lock file without the packages of other platforms, and npm writes such a one wherever
# its registry doesn't offer them all. The versions are the lock file's all the same, and --no-save leaves it as it is.
fetch_npm_packages() {
  say "installing npm packages"
  log=$(mktemp)
  if ! (cd "$root" && npm install --no-save --no-audit --no-fund --ignore-scripts=false --loglevel=error) \
    </dev/null >"$log" 2>&1; then
    reason=$(sed -n 's/^npm error //p' "$log" | grep -v -m1 '^code ' || tail -n1 "$log")
    rm -f "$log"
    fail "npm install did not succeed ($reason); check the network and npm's registry, then run it again"
  fi
  rm -f "$log"
}

check_node() {
  node24=$root/node_modules/.bin/node
  [ -x "$node24" ] ||
    fail "npm did not run the install script of the package node; run: npm rebuild node --ignore-scripts=false"
  reason=$("$node24" -e 0 2>&1) ||
    fail "the Node that npm installed does not start here ($reason); install the missing library, for most: libstdc++6"
}
