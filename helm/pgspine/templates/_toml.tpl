{{/* A map as TOML. Helm's own toToml writes whole numbers as floats, which pgspine refuses. */}}

{{/* dict "path" LIST "table" MAP: its plain keys first, because what follows a [table] header belongs to that. */}}
{{- define "pgspine.toml" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "pgspine.tomlKey" $key }} = {{ include "pgspine.tomlValue" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- $inner := append $path (include "pgspine.tomlKey" $key) }}

[{{ join "." $inner }}]
{{- include "pgspine.toml" (dict "path" $inner "table" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pgspine.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ toRawJson . }}{{- end -}}
{{- end -}}

{{/* A JSON string is a TOML string (DEL, which TOML wants escaped, Helm refuses in values). Whole numbers come as floats. */}}
{{- define "pgspine.tomlValue" -}}
{{- if kindIs "string" . -}}
{{ toRawJson . }}
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . }}{{- $items = append $items (include "pgspine.tomlValue" .) }}{{- end -}}
[{{ join ", " $items }}]
{{- else if kindIs "float64" . -}}
{{- /* pgspine has no fractions; librdkafka reads them from text. */ -}}
{{- if eq (floor .) . }}{{ int64 . }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- else -}}
{{ toJson . }}
{{- end -}}
{{- end -}}
