{{/*
What every pod of a bridge shares: the StatefulSet's, the preflight's and the test's. They differ in which ConfigMaps
they mount (`config`, `transforms`: names) and in whether they have the state.
*/}}

{{/* A file below transforms/ as a ConfigMap's key, which has no `/`. */}}
{{- define "pgspine.transformKey" -}}
{{- . | replace "/" "__" -}}
{{- end -}}

{{- define "pgspine.checksum" -}}
{{- . | sha256sum | trunc 32 -}}
{{- end -}}

{{/* dict "root" $ "b" BRIDGE */}}
{{- define "pgspine.podAnnotations" -}}
checksum/config: {{ include "pgspine.checksum" .b.toml }}
{{- with .b.transforms.inline }}
checksum/transforms: {{ include "pgspine.checksum" (toJson .) }}
{{- end }}
{{- with .b.transforms.revision }}
pgspine/transforms-revision: {{ toString . | quote }}
{{- end }}
{{- with .b.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Everything of a pod's spec but its containers. dict "root" $ "b" BRIDGE "config" NAME "transforms" NAME "state" BOOL "serviceAccount" NAME */}}
{{- define "pgspine.podSpec" -}}
{{- $b := .b -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: false
# A Service called pgspine would otherwise become PGSPINE_… variables.
enableServiceLinks: false
{{- with $b.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $b.podSecurityContext | nindent 2 }}
{{- with $b.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $b.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $b.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $b.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $b.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $b.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $b.transforms.initImage.reference }}
initContainers:
  - name: transforms
    image: {{ $b.transforms.initImage.reference }}
    {{- with $b.transforms.initImage.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    command:
      {{- toYaml $b.transforms.initImage.command | nindent 6 }}
    securityContext:
      {{- toYaml $b.securityContext | nindent 6 }}
    {{- with $b.transforms.initImage.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
      - name: transforms
        mountPath: /target
{{- end }}
volumes:
  - name: config
    configMap:
      name: {{ .config }}
  {{- if $b.transforms.imageVolume.reference }}
  - name: transforms
    image:
      reference: {{ $b.transforms.imageVolume.reference }}
      {{- with $b.transforms.imageVolume.pullPolicy }}
      pullPolicy: {{ . }}
      {{- end }}
  {{- else if $b.transforms.initImage.reference }}
  - name: transforms
    emptyDir: {}
  {{- else }}
  - name: transforms
    projected:
      sources:
        {{- if $b.transforms.inline }}
        - configMap:
            name: {{ .transforms }}
            items:
              {{- range $path, $text := $b.transforms.inline }}
              - key: {{ include "pgspine.transformKey" $path }}
                path: {{ $path }}
              {{- end }}
        {{- end }}
        {{- range $b.transforms.configMaps }}
        - configMap:
            name: {{ .name }}
            {{- with .items }}
            items:
              {{- toYaml . | nindent 14 }}
            {{- end }}
        {{- end }}
  {{- end }}
  {{- range $service := list "postgres" "kafka" "registry" }}
  {{- with get $b.secrets $service }}
  {{- if .existingSecret }}
  - name: secrets-{{ $service }}
    secret:
      secretName: {{ .existingSecret }}
      defaultMode: 288 # 0440: readable by fsGroup, so by pgspine alone
      items:
        {{- with .usernameKey }}
        - key: {{ . }}
          path: username
        {{- end }}
        {{- with .passwordKey }}
        - key: {{ . }}
          path: password
        {{- end }}
        {{- with .bearerTokenKey }}
        - key: {{ . }}
          path: bearer_token
        {{- end }}
  {{- end }}
  {{- end }}
  {{- with get $b.tls $service }}
  {{- if or .existingSecret .existingConfigMap }}
  - name: tls-{{ $service }}
    projected:
      defaultMode: 288 # 0440
      sources:
        {{- if and .existingConfigMap .caKey }}
        - configMap:
            name: {{ .existingConfigMap }}
            items:
              - key: {{ .caKey }}
                path: ca.crt
        {{- end }}
        {{- if or .certKey (and .caKey (not .existingConfigMap)) }}
        - secret:
            name: {{ .existingSecret }}
            items:
              {{- if and .caKey (not .existingConfigMap) }}
              - key: {{ .caKey }}
                path: ca.crt
              {{- end }}
              {{- if .certKey }}
              - key: {{ .certKey }}
                path: tls.crt
              - key: {{ .keyKey }}
                path: tls.key
              {{- end }}
        {{- end }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if .state }}
  - name: state
    {{- if eq $b.state.type "emptyDir" }}
    {{- if or $b.state.emptyDir.sizeLimit $b.state.emptyDir.medium }}
    emptyDir:
      {{- with $b.state.emptyDir.medium }}
      medium: {{ . }}
      {{- end }}
      {{- with $b.state.emptyDir.sizeLimit }}
      sizeLimit: {{ . }}
      {{- end }}
    {{- else }}
    emptyDir: {}
    {{- end }}
    {{- else }}
    persistentVolumeClaim:
      claimName: {{ default (printf "%s-state" $b.fullname) $b.state.existingClaim }}
    {{- end }}
  {{- end }}
  - name: tmp
    emptyDir:
      sizeLimit: {{ $b.tmpSizeLimit }}
  {{- with $b.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What every container with our image has. dict as for the pod's spec */}}
{{- define "pgspine.container" -}}
{{- $b := .b -}}
image: {{ include "pgspine.image" (dict "root" .root "image" $b.image) | quote }}
imagePullPolicy: {{ $b.image.pullPolicy }}
workingDir: /etc/pgspine
# pgspine writes there why it ended for good; what dies before it can shows its last lines of log.
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- toYaml $b.securityContext | nindent 2 }}
env:
  - name: PGSPINE_LOG
    value: {{ $b.log.level | quote }}
  - name: PGSPINE_LOG_FORMAT
    value: {{ $b.log.format | quote }}
  {{- with $b.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $b.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  # One file, so that pgspine.toml stands beside transforms/ in the image's folder. It is not updated in a running pod:
  # a change of it makes a new one.
  - name: config
    mountPath: /etc/pgspine/pgspine.toml
    subPath: pgspine.toml
    readOnly: true
  - name: transforms
    mountPath: /etc/pgspine/transforms
    {{- with $b.transforms.imageVolume }}
    {{- if and .reference .path }}
    subPath: {{ .path }}
    {{- end }}
    {{- end }}
    readOnly: true
  {{- range $service := list "postgres" "kafka" "registry" }}
  {{- with get $b.secrets $service }}
  {{- if .existingSecret }}
  # Whole folders: they follow a rotated Secret, and pgspine reads them at each connect.
  - name: secrets-{{ $service }}
    mountPath: /etc/pgspine/secrets/{{ $service }}
    readOnly: true
  {{- end }}
  {{- end }}
  {{- with get $b.tls $service }}
  {{- if or .existingSecret .existingConfigMap }}
  - name: tls-{{ $service }}
    mountPath: /etc/pgspine/tls/{{ $service }}
    readOnly: true
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if .state }}
  - name: state
    mountPath: /var/lib/pgspine
  {{- end }}
  - name: tmp
    mountPath: /tmp
  {{- with $b.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* list PROBES KIND PATH */}}
{{- define "pgspine.probe" -}}
{{- $probes := index . 0 -}}{{- $kind := index . 1 -}}
httpGet:
  path: {{ index . 2 }}
  port: http
{{- range $key, $value := get $probes $kind }}
{{ $key }}: {{ $value }}
{{- end }}
{{- end -}}
