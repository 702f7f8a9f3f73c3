// The registry client and the decoder of hamba's Avro.
package main

import (
	"context"
	"errors"
	"slices"

	. "osqdemo/registry-clients/checks"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/registry"
)

type door struct {
	Nr   int               `avro:"nr"`
	Open *bool             `avro:"open"`
	Seen map[string]string `avro:"seen"`
}

func refused(err error, code int) bool {
	var response registry.Error
	return errors.As(err, &response) && response.Code == code
}

func main() {
	url, name := Arguments()
	client := Must(registry.NewClient(url))
	ctx := context.Background()
	subject := name + "-value"

	first, schema, err := client.CreateSchema(ctx, subject, Door)
	Succeeds(err)
	again, _, err := client.CreateSchema(ctx, subject, Door)
	Succeeds(err)
	Equal("a schema is registered once", again, first)
	Equal("a schema is found by its id", Must(client.GetSchema(ctx, first)).Fingerprint(), schema.Fingerprint())
	looked, _, err := client.IsRegistered(ctx, subject, Door)
	Succeeds(err)
	Equal("a schema is looked up", looked, first)
	latest := Must(client.GetLatestSchemaInfo(ctx, subject))
	Equal("the latest version is known", []int{latest.ID, latest.Version}, []int{first, 1})
	Equal("a version is found", Must(client.GetSchemaByVersion(ctx, subject, 1)).Fingerprint(), schema.Fingerprint())
	Equal("versions are listed", Must(client.GetVersions(ctx, subject)), []int{1})
	Check("subjects are listed", slices.Contains(Must(client.GetSubjects(ctx)), subject))

	Check("compatibility is asked", !Must(client.IsCompatible(ctx, subject, Narrower)))
	_, _, err = client.CreateSchema(ctx, subject, Narrower)
	Check("what is incompatible is refused", refused(err, 409))
	Succeeds(client.SetCompatibilityLevel(ctx, subject, registry.NoneCL))
	second, _, err := client.CreateSchema(ctx, subject, Narrower)
	Succeeds(err)
	Check("with NONE everything goes", second != first)
	reference := registry.SchemaReference{Name: "site.Door", Subject: subject, Version: 1}
	_, _, err = client.CreateSchema(ctx, name+"-house", House, reference)
	Succeeds(err)
	_, err = client.DeleteSubject(ctx, subject)
	Check("what is referred to stays", refused(err, 42206))

	open := true
	value := door{Nr: 7, Open: &open, Seen: map[string]string{"by": "Zoë"}}
	bytes := append([]byte{0}, (registry.SchemaInfo{ID: first}).IDBytes()...)
	bytes = append(bytes, Must(avro.Marshal(schema, value))...)
	var back door
	Succeeds(registry.NewDecoder(Must(registry.NewClient(url))).Decode(ctx, bytes, &back))
	Equal("the value comes back", []any{back.Nr, *back.Open, back.Seen}, []any{7, true, value.Seen})

	Equal("the referring subject is deleted", Must(client.DeleteSubject(ctx, name+"-house")), []int{1})
	Equal("a subject is deleted", Sorted(Must(client.DeleteSubject(ctx, subject))), []int{1, 2})
	_, err = client.GetLatestSchema(ctx, subject)
	Check("what is deleted is not found", refused(err, 40401))
	_, err = Must(registry.NewClient(url)).GetSchema(ctx, 1<<30)
	Check("nor an id that was never given", refused(err, 40403))
	Passed("github.com/hamba/avro/v2")
}
