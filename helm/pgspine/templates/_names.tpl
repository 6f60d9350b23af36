{{/* Names and labels. A bridge's objects are FULLNAME-BRIDGE[-WHAT], `_` in its name being `-` for Kubernetes. */}}

{{- define "pgspine.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "pgspine.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name }}{{- else -}}{{ .Release.Name }}-{{ $name }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* dict "root" $ "bridge" NAME */}}
{{- define "pgspine.bridgeName" -}}
{{- include "pgspine.fullname" .root }}-{{ .bridge | replace "_" "-" -}}
{{- end -}}

{{- define "pgspine.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "pgspine.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Of the release: what monitors select by. */}}
{{- define "pgspine.releaseSelector" -}}
app.kubernetes.io/name: {{ include "pgspine.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pgspine.labels" -}}
{{- $own := include "pgspine.releaseSelector" . | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | toString) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "pgspine" -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/* Of one bridge's pod; never changes, for a StatefulSet's selector cannot. dict "root" $ "bridge" NAME */}}
{{- define "pgspine.bridgeSelector" -}}
{{ include "pgspine.releaseSelector" .root }}
app.kubernetes.io/component: bridge
pgspine/bridge: {{ .bridge | quote }}
{{- end -}}

{{/* dict "root" $ "bridge" NAME "component" WHAT */}}
{{- define "pgspine.bridgeLabels" -}}
{{ include "pgspine.labels" .root }}
app.kubernetes.io/component: {{ .component }}
pgspine/bridge: {{ .bridge | quote }}
{{- end -}}

{{/* The annotations of an object: those of the values, then its own. dict "root" $ "own" DICT */}}
{{- define "pgspine.annotations" -}}
{{- $all := merge (deepCopy .own) .root.Values.commonAnnotations -}}
{{- if $all -}}
annotations:
  {{- toYaml $all | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "pgspine.image" -}}
{{- $i := .image -}}
{{- $i.repository -}}
{{- if or $i.tag (not $i.digest) -}}:{{ default .root.Chart.AppVersion $i.tag }}{{- end -}}
{{- if $i.digest -}}@{{ $i.digest }}{{- end -}}
{{- end -}}
