{{/* The egress rules of a bridge's pods, its preflight's and its test's: DNS, and what the values name. */}}
{{- define "pgspine.egress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- with .networkPolicy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- range .networkPolicy.egress }}
- ports:
    {{- range .ports }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
