# Heroku runs this in each dyno, before its command: so `identity` is one there, as it is where the package is installed.
export PATH="$PATH:$HOME/bin"
