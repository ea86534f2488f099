"""The policy that `gemstead policy init` writes."""

STARTER = """\
# Who may do what here. What no rule allows is refused; a rule that denies wins over any that allow.
# Check it: gemstead policy check     Ask it: gemstead policy explain --group staff --model gemma4:e2b
# A running server takes a changed file within a second; a broken one it does not take, and says so in its log.

version = 1

# Of a request that does not say what its text is (header x-gemstead-label):
# public < internal < confidential < secret
default_label = "internal"

[[rules]]
id = "this-machine"
effect = "allow"
note = "Who runs the server, at its own command line."
groups = ["local"]

[[rules]]
id = "staff"
effect = "allow"
note = "Everybody with a key of the group staff (gemstead keys create --group staff)."
groups = ["staff"]
actions = ["chat", "embed"]
models = ["*"]
labels = ["public", "internal"]
per = "key" # each key has these limits for itself; "group", "model" and "rule" share them

[rules.limits]
requests_per_minute = 60
tokens_per_minute = 20_000
tokens_per_day = 500_000
concurrent_requests = 4
waiting_requests = 8
max_output_tokens = 4096

# [[rules]]
# id = "no-secrets"
# effect = "deny"
# note = "Nobody sends what is secret."
# labels = ["secret"]

# [[rules]]
# id = "callers-without-a-key"
# effect = "allow"
# note = "Only where the server takes calls without a key."
# groups = ["anonymous"]
# models = ["gemma4:e2b*"]
"""
