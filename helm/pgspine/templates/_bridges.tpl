{{/*
The bridges as the other templates read them: `defaults` with the bridge's own keys laid over, checked, with the
pgspine.toml in `toml`. What is wrong stops the rendering with the bridge, the key and what to do.
*/}}

{{/* JSON: name → bridge. Use: range $name, $b := include "pgspine.bridges" . | fromJson */}}
{{- define "pgspine.bridges" -}}
{{- /* Every template asks; the first answer stays for the others. */ -}}
{{- if not (hasKey .Values "rendered") -}}
{{- $all := dict -}}
{{- range $name, $own := .Values.bridges -}}
{{- $b := include "pgspine.merge" (list $.Values.defaults (default dict $own)) | fromJson -}}
{{- $_ := set $b "fullname" (include "pgspine.bridgeName" (dict "root" $ "bridge" $name)) -}}
{{- include "pgspine.guard.bridge" (dict "root" $ "name" $name "b" $b) -}}
{{- $_ := set $b "source" (include "pgspine.source" (dict "name" $name "b" $b) | fromJson) -}}
{{- $_ := set $b "toml" (include "pgspine.config" (dict "name" $name "b" $b)) -}}
{{- $_ := set $all $name $b -}}
{{- end -}}
{{- include "pgspine.guard.release" (dict "root" . "all" $all) -}}
{{- $_ := set .Values "rendered" (toJson $all) -}}
{{- end -}}
{{- .Values.rendered -}}
{{- end -}}

{{/*
JSON of `list UNDER OVER`: maps merge key by key, anything else replaces, null takes the key away. Helm's own merge
keeps a default list where the bridge writes an empty one.
*/}}
{{- define "pgspine.merge" -}}
{{- $merged := deepCopy (first .) -}}
{{- range $key, $value := last . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $merged $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $merged $key)) -}}
{{- $_ := set $merged $key (include "pgspine.merge" (list (get $merged $key) $value) | fromJson) -}}
{{- else -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $merged -}}
{{- end -}}

{{/*
JSON {hosts, database, user, slot, publication, transactional_id, progress_topic}: where a bridge reads and who it is,
with pgspine's defaults. Hosts are host:port, sorted, so that one place is found in two spellings.
*/}}
{{- define "pgspine.source" -}}
{{- $postgres := default dict .b.config.postgres -}}
{{- $kafka := default dict .b.config.kafka -}}
{{- $url := $postgres.url -}}
{{- $hosts := "" -}}{{- $ports := "" -}}{{- $database := "" -}}{{- $user := "" -}}
{{- if regexMatch "^postgres(ql)?://" $url -}}
{{- $rest := regexReplaceAll "^postgres(ql)?://" $url "" -}}
{{- $before := regexFind "^[^/?]*" $rest -}}
{{- $hosts = regexReplaceAll "^.*@" $before "" -}}
{{- $user = regexFind "^[^:@]*@" $before | trimSuffix "@" -}}
{{- if not $user -}}{{- $user = regexFind "^[^:@]*:[^@]*@" $before | regexFind "^[^:]*" -}}{{- end -}}
{{- $database = regexFind "/[^?]*" (regexReplaceAll "\\?.*$" $rest "") | trimPrefix "/" -}}
{{- $query := regexFind "\\?.*$" $rest -}}
{{- with regexFind "[?&]host=[^&]*" $query }}{{- $hosts = regexReplaceAll "^.host=" . "" -}}{{- end -}}
{{- with regexFind "[?&]port=[^&]*" $query }}{{- $ports = regexReplaceAll "^.port=" . "" -}}{{- end -}}
{{- with regexFind "[?&]dbname=[^&]*" $query }}{{- $database = regexReplaceAll "^.dbname=" . "" -}}{{- end -}}
{{- with regexFind "[?&]user=[^&]*" $query }}{{- $user = regexReplaceAll "^.user=" . "" -}}{{- end -}}
{{- else -}}
{{- $hosts = include "pgspine.keyword" (list $url "host") -}}
{{- $ports = include "pgspine.keyword" (list $url "port") -}}
{{- $database = include "pgspine.keyword" (list $url "dbname") -}}
{{- $user = include "pgspine.keyword" (list $url "user") -}}
{{- end -}}
{{- $places := list -}}
{{- $portList := splitList "," $ports -}}
{{- range $i, $host := splitList "," $hosts -}}
{{- $host = lower (trim $host) -}}
{{- $port := "" -}}
{{- if $ports -}}
{{- $port = ternary (index $portList 0) (index $portList (min $i (sub (len $portList) 1) | int)) (eq (len $portList) 1) -}}
{{- end -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- $port = regexFind "[0-9]+$" $host -}}
{{- $host = regexReplaceAll ":[0-9]+$" $host "" -}}
{{- end -}}
{{- $places = append $places (printf "%s:%s" (trimSuffix "." $host) (default "5432" $port)) -}}
{{- end -}}
{{- $derived := printf "pgspine_%s" (.name | replace "-" "_") -}}
{{- dict
  "hosts" (sortAlpha (uniq $places))
  "database" (default $user $database)
  "user" $user
  "slot" (default $derived $postgres.slot)
  "publication" (default $derived $postgres.publication)
  "manages" (ne (default "manage" $postgres.publication_mode) "verify")
  "transactional_id" (default (printf "pgspine.%s" .name) $kafka.transactional_id)
  "progress_topic" (default (printf "pgspine.%s.progress" .name) $kafka.progress_topic)
  | toJson -}}
{{- end -}}

{{/* The value of a libpq keyword string's keyword. list STRING KEYWORD */}}
{{- define "pgspine.keyword" -}}
{{- $found := regexFind (printf "(^|\\s)%s\\s*=\\s*('[^']*'|\\S+)" (last .)) (first .) -}}
{{- regexReplaceAll (printf "^\\s*%s\\s*=\\s*" (last .)) $found "" | trimAll "'" -}}
{{- end -}}

{{/* The text of pgspine.toml: what the user wrote, with what the chart fixes. dict "name" NAME "b" BRIDGE */}}
{{- define "pgspine.config" -}}
{{- $b := .b -}}
{{- $config := deepCopy $b.config -}}
{{- range $section := list "postgres" "kafka" "registry" -}}
{{- $_ := set $config $section (default dict (get $config $section)) -}}
{{- end -}}
{{- $_ := set $config "bridge" (dict "name" .name "transforms" "/etc/pgspine/transforms" "state_dir" "/var/lib/pgspine" "on_halt" "stay") -}}
{{- $_ := set $config "http" (dict "listen" (printf "%s:8080" $b.http.address)) -}}

{{- with $b.secrets.postgres }}{{- if .existingSecret -}}
{{- $_ := set $config.postgres "password_file" "/etc/pgspine/secrets/postgres/password" -}}
{{- end }}{{- end -}}
{{- with $b.tls.postgres -}}
{{- $options := dict -}}
{{- if or .existingSecret .existingConfigMap -}}
{{- if .caKey }}{{- $_ := set $options "sslrootcert" "/etc/pgspine/tls/postgres/ca.crt" -}}{{- end -}}
{{- if .certKey -}}
{{- $_ := set $options "sslcert" "/etc/pgspine/tls/postgres/tls.crt" -}}
{{- $_ := set $options "sslkey" "/etc/pgspine/tls/postgres/tls.key" -}}
{{- end -}}
{{- end -}}
{{- $url := $config.postgres.url -}}
{{- $isUrl := regexMatch "^postgres(ql)?://" $url -}}
{{- range $option, $path := $options -}}
{{- $url = printf "%s%s%s=%s" $url (ternary (ternary "&" "?" (contains "?" $url)) " " $isUrl) $option $path -}}
{{- end -}}
{{- $_ := set $config.postgres "url" $url -}}
{{- end -}}

{{- $kafka := dict -}}
{{- with $b.secrets.kafka }}{{- if .existingSecret -}}
{{- if .usernameKey }}{{- $_ := set $kafka "sasl.username" "${file:/etc/pgspine/secrets/kafka/username}" -}}{{- end -}}
{{- if .passwordKey }}{{- $_ := set $kafka "sasl.password" "${file:/etc/pgspine/secrets/kafka/password}" -}}{{- end -}}
{{- end }}{{- end -}}
{{- with $b.tls.kafka }}{{- if or .existingSecret .existingConfigMap -}}
{{- if .caKey }}{{- $_ := set $kafka "ssl.ca.location" "/etc/pgspine/tls/kafka/ca.crt" -}}{{- end -}}
{{- if .certKey -}}
{{- $_ := set $kafka "ssl.certificate.location" "/etc/pgspine/tls/kafka/tls.crt" -}}
{{- $_ := set $kafka "ssl.key.location" "/etc/pgspine/tls/kafka/tls.key" -}}
{{- end -}}
{{- end }}{{- end -}}
{{- if or $kafka $config.kafka.properties -}}
{{- $_ := set $config.kafka "properties" (merge $kafka (default dict $config.kafka.properties)) -}}
{{- end -}}

{{- with $b.secrets.registry }}{{- if .existingSecret -}}
{{- if .usernameKey }}{{- $_ := set $config.registry "username" "${file:/etc/pgspine/secrets/registry/username}" -}}{{- end -}}
{{- if .passwordKey }}{{- $_ := set $config.registry "password" "${file:/etc/pgspine/secrets/registry/password}" -}}{{- end -}}
{{- if .bearerTokenKey }}{{- $_ := set $config.registry "bearer_token" "${file:/etc/pgspine/secrets/registry/bearer_token}" -}}{{- end -}}
{{- end }}{{- end -}}
{{- with $b.tls.registry }}{{- if or .existingSecret .existingConfigMap -}}
{{- if .caKey }}{{- $_ := set $config.registry "ca" "/etc/pgspine/tls/registry/ca.crt" -}}{{- end -}}
{{- if .certKey -}}
{{- $_ := set $config.registry "cert" "/etc/pgspine/tls/registry/tls.crt" -}}
{{- $_ := set $config.registry "key" "/etc/pgspine/tls/registry/tls.key" -}}
{{- end -}}
{{- end }}{{- end -}}
{{- include "pgspine.toml" (dict "path" list "table" $config) | trim }}
{{ end -}}
