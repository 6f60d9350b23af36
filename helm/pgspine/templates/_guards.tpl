{{/* What the schema cannot say. Each message names the bridge, the key, and what to do. */}}

{{/* dict "root" $ "name" NAME "b" BRIDGE */}}
{{- define "pgspine.guard.bridge" -}}
{{- $name := .name -}}{{- $b := .b -}}
{{- $at := printf "bridges.%s" $name -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9])?$" $name) -}}
{{- fail (printf "%s: %q is not a bridge name: 1 to 50 characters a-z, 0-9, _ and -, a letter or digit first and last" $at $name) -}}
{{- end -}}
{{- if gt (len $b.fullname) 52 -}}
{{- fail (printf "%s: its objects would be called %q, %d characters; a StatefulSet's name has 52 at most. Use a shorter release name, or fullnameOverride" $at $b.fullname (len $b.fullname)) -}}
{{- end -}}

{{- range $section := list "bridge" "http" -}}
{{- if hasKey $b.config $section -}}
{{- fail (printf "%s.config.%s: the chart sets [%s] itself (the name is the key under bridges; paths, on_halt and the port are fixed); remove it" $at $section $section) -}}
{{- end -}}
{{- end -}}
{{- $postgres := default dict $b.config.postgres -}}
{{- $kafka := default dict $b.config.kafka -}}
{{- $registry := default dict $b.config.registry -}}
{{- if not $postgres.url -}}
{{- fail (printf "%s.config.postgres.url is required, e.g. postgres://pgspine@db:5432/shop?sslmode=verify-full" $at) -}}
{{- end -}}
{{- if not $kafka.bootstrap_servers -}}
{{- fail (printf "%s.config.kafka.bootstrap_servers is required, e.g. kafka:9092" $at) -}}
{{- end -}}
{{- if not $registry.url -}}
{{- fail (printf "%s.config.registry.url is required, e.g. http://registry:8081" $at) -}}
{{- end -}}
{{- if $postgres.slot -}}
{{- if not (regexMatch "^[a-z0-9_]{1,63}$" $postgres.slot) -}}
{{- fail (printf "%s.config.postgres.slot: %q is not a slot name: 1 to 63 characters a-z, 0-9 and _" $at $postgres.slot) -}}
{{- end -}}
{{- end -}}
{{- include "pgspine.guard.secrets" (dict "at" $at "b" $b "postgres" $postgres "kafka" $kafka "registry" $registry) -}}
{{- include "pgspine.guard.transforms" (dict "at" $at "b" $b "root" .root) -}}
{{- include "pgspine.guard.memory" (dict "at" $at "b" $b) -}}
{{- end -}}

{{/* Secrets stand in Secrets, and what refers to one names it. */}}
{{- define "pgspine.guard.secrets" -}}
{{- $at := .at -}}{{- $b := .b -}}
{{- $instead := printf "put it into a Secret and name that in %s.secrets" $at -}}
{{- $url := .postgres.url -}}
{{- if regexMatch "^postgres(ql)?://[^/@?:]*:[^@$][^@]*@" $url -}}
{{- fail (printf "%s.config.postgres.url holds a password: %s.postgres.existingSecret" $at $instead) -}}
{{- end -}}
{{- if regexMatch "(^|[?&\\s])(ssl)?password\\s*=\\s*[^$]" $url -}}
{{- fail (printf "%s.config.postgres.url holds a password: %s.postgres.existingSecret" $at $instead) -}}
{{- end -}}
{{- range $key := list "password" "password_file" -}}
{{- if hasKey $.postgres $key -}}
{{- fail (printf "%s.config.postgres.%s: no password stands in values; %s.postgres.existingSecret" $at $key $instead) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "username" "password" "bearer_token" "ca" "cert" "key" -}}
{{- if hasKey $.registry $key -}}
{{- fail (printf "%s.config.registry.%s is set by the chart: put it into a Secret and name that in %s.%s.registry.existingSecret" $at $key $at (ternary "tls" "secrets" (has $key (list "ca" "cert" "key")))) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := default dict .kafka.properties -}}
{{- if and (regexMatch "(password|secret|\\.pem$|oauthbearer\\.config$)" $key) (not (hasPrefix "${" (toString $value))) -}}
{{- fail (printf "%s.config.kafka.properties.%q: no secret stands in values; %s.kafka.existingSecret, or write ${file:/path} or ${VARIABLE}" $at $key $instead) -}}
{{- end -}}
{{- end -}}
{{- $ours := dict -}}
{{- if $b.secrets.kafka.existingSecret -}}
{{- $ours = dict "sasl.username" $b.secrets.kafka.usernameKey "sasl.password" $b.secrets.kafka.passwordKey -}}
{{- end -}}
{{- if or $b.tls.kafka.existingSecret $b.tls.kafka.existingConfigMap -}}
{{- $ours = merge $ours (dict "ssl.ca.location" $b.tls.kafka.caKey "ssl.certificate.location" $b.tls.kafka.certKey "ssl.key.location" $b.tls.kafka.keyKey) -}}
{{- end -}}
{{- range $key, $from := $ours -}}
{{- if and $from (hasKey (default dict $.kafka.properties) $key) -}}
{{- fail (printf "%s.config.kafka.properties.%q is set by the chart from %s.%s.kafka; remove one of the two" $at $key $at (ternary "secrets" "tls" (hasPrefix "sasl" $key))) -}}
{{- end -}}
{{- end -}}
{{- range $service := list "postgres" "kafka" "registry" -}}
{{- $s := get $b.secrets $service -}}
{{- $t := get $b.tls $service -}}
{{- if and (not $s.existingSecret) (or $s.usernameKey $s.bearerTokenKey (and (ne $service "postgres") $s.passwordKey)) -}}
{{- fail (printf "%s.secrets.%s names keys of a Secret but no Secret: set %s.secrets.%s.existingSecret" $at $service $at $service) -}}
{{- end -}}
{{- if $s.existingSecret -}}
{{- if not (or $s.usernameKey $s.passwordKey $s.bearerTokenKey) -}}
{{- fail (printf "%s.secrets.%s.existingSecret names a Secret but none of its keys: set %s.secrets.%s.passwordKey" $at $service $at $service) -}}
{{- end -}}
{{- if and $s.bearerTokenKey (or $s.usernameKey $s.passwordKey) -}}
{{- fail (printf "%s.secrets.%s: bearerTokenKey excludes usernameKey and passwordKey" $at $service) -}}
{{- end -}}
{{- end -}}
{{- if ne (empty $t.certKey) (empty $t.keyKey) -}}
{{- fail (printf "%s.tls.%s: a client certificate is certKey and keyKey; one of them is missing" $at $service) -}}
{{- end -}}
{{- if and $t.certKey (not $t.existingSecret) -}}
{{- fail (printf "%s.tls.%s names a client certificate but no Secret: set %s.tls.%s.existingSecret" $at $service $at $service) -}}
{{- end -}}
{{- if and (or $t.existingSecret $t.existingConfigMap) (not (or $t.caKey $t.certKey)) -}}
{{- fail (printf "%s.tls.%s names where TLS material is but none of its keys: set caKey, or certKey and keyKey" $at $service) -}}
{{- end -}}
{{- end -}}
{{- if and (or $b.tls.postgres.existingSecret $b.tls.postgres.existingConfigMap) (regexMatch "[?&\\s](sslrootcert|sslcert|sslkey)\\s*=" (printf " %s" $url)) -}}
{{- fail (printf "%s: sslrootcert, sslcert and sslkey come from tls.postgres; take them out of config.postgres.url" $at) -}}
{{- end -}}
{{- $p := $b.secrets.postgres -}}
{{- if and $p.required (not $p.existingSecret) (not $b.tls.postgres.certKey) (not (contains "${" $url)) -}}
{{- fail (printf "%s.secrets.postgres.existingSecret is missing: name the Secret that holds the password of the database user. Where PostgreSQL asks for none, set %s.secrets.postgres.required=false" $at $at) -}}
{{- end -}}
{{- $properties := default dict .kafka.properties -}}
{{- if hasPrefix "sasl_" (lower (toString (default "" (get $properties "security.protocol")))) -}}
{{- $mechanism := upper (toString (default (default "" (get $properties "sasl.mechanisms")) (get $properties "sasl.mechanism"))) -}}
{{- if and (or (eq $mechanism "PLAIN") (hasPrefix "SCRAM-" $mechanism)) (not $b.secrets.kafka.existingSecret) (not (hasKey $properties "sasl.password")) -}}
{{- fail (printf "%s.secrets.kafka.existingSecret is missing: security.protocol asks for SASL %s, whose password has to come from a Secret" $at $mechanism) -}}
{{- end -}}
{{- end -}}
{{- range $b.extraEnv -}}
{{- if regexMatch "^PGSPINE_[A-Z0-9]+__" .name -}}
{{- fail (printf "%s.extraEnv: %s would override pgspine.toml behind the chart's checks; write the key in %s.config, with ${VARIABLE} where the value comes from a Secret" $at .name $at) -}}
{{- end -}}
{{- if and (regexMatch "(PASSWORD|PASSWD|SECRET|TOKEN)" .name) (hasKey . "value") -}}
{{- fail (printf "%s.extraEnv: %s holds a secret; use valueFrom.secretKeyRef" $at .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pgspine.guard.transforms" -}}
{{- $at := .at -}}{{- $b := .b -}}{{- $t := .b.transforms -}}
{{- $ways := list -}}
{{- if or $t.inline $t.configMaps }}{{- $ways = append $ways "inline or configMaps" -}}{{- end -}}
{{- if $t.imageVolume.reference }}{{- $ways = append $ways "imageVolume" -}}{{- end -}}
{{- if $t.initImage.reference }}{{- $ways = append $ways "initImage" -}}{{- end -}}
{{- if not $ways -}}
{{- fail (printf "%s.transforms: there are none. Give inline (files), configMaps, imageVolume.reference or initImage.reference" $at) -}}
{{- end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "%s.transforms: %s exclude each other" $at (join " and " $ways)) -}}
{{- end -}}
{{- $size := 0 -}}{{- $keys := dict -}}
{{- range $path, $text := $t.inline -}}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\\.(sql|avsc)$" $path) -}}
{{- fail (printf "%s.transforms.inline: %q is not a file below transforms/, such as shop/order.sql or shop/order.avsc" $at $path) -}}
{{- end -}}
{{- $key := include "pgspine.transformKey" $path -}}
{{- if hasKey $keys $key -}}
{{- fail (printf "%s.transforms.inline: %q and %q are one key, %q, in a ConfigMap; rename one" $at (get $keys $key) $path $key) -}}
{{- end -}}
{{- $_ := set $keys $key $path -}}
{{- $size = add $size (len $key) (len $text) -}}
{{- end -}}
{{- if gt $size 1000000 -}}
{{- fail (printf "%s.transforms.inline: %d bytes of files; a ConfigMap holds 1048576 with what is around them. Ship them in an image (transforms.imageVolume or transforms.initImage), or as several ConfigMaps (transforms.configMaps)" $at $size) -}}
{{- end -}}
{{- if $t.imageVolume.reference -}}
{{- if semverCompare "<1.31.0-0" $.root.Capabilities.KubeVersion.Version -}}
{{- fail (printf "%s.transforms.imageVolume: Kubernetes %s has no image volumes (1.31 to 1.34: feature gate ImageVolume; from 1.35 on by default); use transforms.initImage" $at $.root.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $b.state.type "emptyDir") (not $b.state.emptyDir.eventsMayGap) -}}
{{- range $path, $text := $t.inline -}}
{{- if and (hasSuffix ".sql" $path) (not (hasSuffix ".test.sql" $path)) (regexMatch "(?m)^\\s*kind\\s*=\\s*[\"']event[\"']" $text) -}}
{{- if or (regexMatch "(?i)\\bjoin\\b" $text) (gt (len (regexFindAll "(?i)\\bselect\\b" $text -1)) 1) -}}
{{- fail (printf "%s: %s is an event transform that looks up other tables, and state.type is emptyDir: with each new pod the rows it looks up are gone, and events are missed (its on_gap decides). Use state.type=pvc, or accept it with %s.state.emptyDir.eventsMayGap=true" $at $path $at) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A container that may use less than what pgspine takes is killed under load, again and again. */}}
{{- define "pgspine.guard.memory" -}}
{{- $limit := "" -}}
{{- with (default dict .b.resources).limits }}{{- $limit = toString (default "" .memory) -}}{{- end -}}
{{- $memory := "256MiB" -}}
{{- with .b.config.limits }}{{- $memory = default $memory .memory -}}{{- end -}}
{{- if $limit -}}
{{- $has := include "pgspine.mebibytes" $limit | int -}}
{{- $rows := include "pgspine.mebibytes" $memory | int -}}
{{- $least := add (div (mul 3 $rows) 2) 64 | int -}}
{{- if and (gt $has 0) (gt $rows 0) (lt $has $least) -}}
{{- fail (printf "%s: resources.limits.memory %s is too little for config.limits.memory %s: half as much again and 64Mi (%dMi) is the least, four times as much is comfortable" .at $limit $memory $least) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whole MiB of a Kubernetes quantity or of pgspine's notation; 0 where it is neither. */}}
{{- define "pgspine.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | float64 -}}
{{- $unit := regexReplaceAll "^[0-9]+\\s*" . "" | trimSuffix "B" -}}
{{- $factors := dict "" 1.0 "K" 1000.0 "k" 1000.0 "M" 1000000.0 "G" 1000000000.0 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 -}}
{{- if hasKey $factors $unit -}}
{{- divf (mulf $number (get $factors $unit)) 1048576.0 | floor | int -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* Over all bridges: two readers of one slot, or two writers with one transactional id, throw each other out for ever. */}}
{{- define "pgspine.guard.release" -}}
{{- $names := dict -}}{{- $slots := dict -}}{{- $ids := dict -}}{{- $publications := dict -}}
{{- range $name, $b := .all -}}
{{- $s := $b.source -}}
{{- if hasKey $names $b.fullname -}}
{{- fail (printf "bridges.%s and bridges.%s are both %s in Kubernetes, where _ becomes -; rename one" (get $names $b.fullname) $name $b.fullname) -}}
{{- end -}}
{{- $_ := set $names $b.fullname $name -}}
{{- if not (default dict $b.config.postgres).temporary_slot -}}
{{- range $host := $s.hosts -}}
{{- $slot := printf "%s/%s" $host $s.slot -}}
{{- if hasKey $slots $slot -}}
{{- fail (printf "bridges.%s and bridges.%s both read slot %s of %s: a slot has one reader, and its name is unique on the server over all databases. Set config.postgres.slot of one of them" (get $slots $slot) $name $s.slot $host) -}}
{{- end -}}
{{- $_ := set $slots $slot $name -}}
{{- $publication := printf "%s/%s/%s" $host $s.database $s.publication -}}
{{- if $s.manages -}}
{{- if hasKey $publications $publication -}}
{{- fail (printf "bridges.%s and bridges.%s both manage publication %s of %s/%s. Set config.postgres.publication of one of them, or publication_mode \"verify\"" (get $publications $publication) $name $s.publication $host $s.database) -}}
{{- end -}}
{{- $_ := set $publications $publication $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if hasKey $ids $s.transactional_id -}}
{{- fail (printf "bridges.%s and bridges.%s have one transactional id, %s: they would fence each other. Set config.kafka.transactional_id of one of them" (get $ids $s.transactional_id) $name $s.transactional_id) -}}
{{- end -}}
{{- $_ := set $ids $s.transactional_id $name -}}
{{- end -}}
{{- if and .root.Values.podMonitor.enabled .root.Values.serviceMonitor.enabled -}}
{{- fail "podMonitor and serviceMonitor are both enabled: everything would be scraped, and alerted on, twice. Disable one" -}}
{{- end -}}
{{- end -}}
