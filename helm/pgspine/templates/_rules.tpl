{{/*
files/rules.yaml, the rules that promtool tests, with what the values change: a threshold is the number before
`# threshold`. Nothing in the file goes through a template: its {{ … }} belong to Prometheus.
*/}}
{{- define "pgspine.rules" -}}
{{- $rules := .Files.Get "files/rules.yaml" | fromYaml -}}
{{- $alerts := .Values.prometheusRule.alerts -}}
{{- $seen := dict -}}
{{- $groups := list -}}
{{- range $group := $rules.groups -}}
{{- $kept := list -}}
{{- range $rule := $group.rules -}}
{{- $alert := $rule.alert -}}
{{- if not (hasKey $alerts $alert) -}}
{{- fail (printf "files/rules.yaml has an alert %s that prometheusRule.alerts does not list" $alert) -}}
{{- end -}}
{{- $_ := set $seen $alert true -}}
{{- $o := get $alerts $alert -}}
{{- if hasKey $o "threshold" -}}
{{- if not (regexMatch "[0-9.]+ # threshold" $rule.expr) -}}
{{- fail (printf "prometheusRule.alerts.%s.threshold: this alert has no threshold" $alert) -}}
{{- end -}}
{{- $number := ternary (int64 $o.threshold | toString) (toString $o.threshold) (eq (floor $o.threshold) (float64 $o.threshold)) -}}
{{- $_ := set $rule "expr" (regexReplaceAll "[0-9.]+ # threshold" $rule.expr (printf "%s # threshold" $number)) -}}
{{- end -}}
{{- with get $o "for" }}{{- $_ := set $rule "for" . -}}{{- end -}}
{{- with $o.severity }}{{- $_ := set $rule.labels "severity" . -}}{{- end -}}
{{- with $o.labels }}{{- $_ := set $rule "labels" (merge (deepCopy .) $rule.labels) -}}{{- end -}}
{{- with $.Values.prometheusRule.runbookBaseUrl -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s.md" (trimSuffix "/" .) $alert) -}}
{{- end -}}
{{- if ne (toString (get $o "enabled")) "false" }}{{- $kept = append $kept $rule -}}{{- end -}}
{{- end -}}
{{- $_ := set $group "rules" $kept -}}
{{- if $kept }}{{- $groups = append $groups $group -}}{{- end -}}
{{- end -}}
{{- range $alert, $_ := $alerts -}}
{{- if not (hasKey $seen $alert) -}}
{{- fail (printf "prometheusRule.alerts.%s: files/rules.yaml has no such alert" $alert) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end -}}
