{{/*
The ConfigMaps of a bridge: pgspine.toml, and the transforms that stand in values. The preflight has copies of its own,
because before an upgrade the release's still hold the old text. dict "root" $ "name" "b" "prefix" "component" "own" ANNOTATIONS
*/}}
{{- define "pgspine.configMaps" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .prefix }}-config
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "pgspine.bridgeLabels" (dict "root" .root "bridge" .name "component" .component) | nindent 4 }}
  {{- with include "pgspine.annotations" (dict "root" .root "own" .own) }}{{ nindent 2 . }}{{ end }}
data:
  pgspine.toml: |
    {{- .b.toml | nindent 4 }}
{{- if .b.transforms.inline }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .prefix }}-transforms
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "pgspine.bridgeLabels" (dict "root" .root "bridge" .name "component" .component) | nindent 4 }}
  {{- with include "pgspine.annotations" (dict "root" .root "own" .own) }}{{ nindent 2 . }}{{ end }}
data:
  {{- range $path, $text := .b.transforms.inline }}
  {{ include "pgspine.transformKey" $path }}: {{ toRawJson $text }}
  {{- end }}
{{- end }}
{{- end -}}
