// The registry client of franz-go.
package main

import (
	"context"
	"errors"
	"slices"

	. "osqdemo/registry-clients/checks"

	"github.com/twmb/franz-go/pkg/sr"
)

func refused(err error, code int) bool {
	var response *sr.ResponseError
	return errors.As(err, &response) && response.ErrorCode == code
}

func main() {
	url, name := Arguments()
	client := Must(sr.NewClient(sr.URLs(url)))
	ctx := context.Background()
	subject := name + " a/b-value"
	door := sr.Schema{Schema: Door}

	types := Must(client.SupportedTypes(ctx))
	Equal("the types of schemas", types, []sr.SchemaType{sr.TypeAvro, sr.TypeProtobuf, sr.TypeJSON})
	first := Must(client.CreateSchema(ctx, subject, door))
	Equal("a schema is registered", first.Version, 1)
	Equal("and once", Must(client.CreateSchema(ctx, subject, door)).ID, first.ID)
	Equal("a schema is found by its id", Must(client.SchemaByID(ctx, first.ID)).Schema, first.Schema.Schema)
	Equal("its text too", Must(client.SchemaTextByID(ctx, first.ID)), first.Schema.Schema)
	Equal("a schema is looked up", Must(client.LookupSchema(ctx, subject, door)).ID, first.ID)
	Equal("the latest version is known", Must(client.SchemaByVersion(ctx, subject, -1)).ID, first.ID)
	Equal("versions are listed", Must(client.SubjectVersions(ctx, subject)), []int{1})
	// Other clients may have registered the same.
	Check("subjects of an id", slices.Contains(Must(client.SubjectsByID(ctx, first.ID)), subject))
	versions := Must(client.SchemaVersionsByID(ctx, first.ID))
	Check("versions of an id", slices.Contains(versions, sr.SubjectVersion{Subject: subject, Version: 1}))
	Check("subjects are listed", slices.Contains(Must(client.Subjects(ctx)), subject))
	prefixed := sr.WithParams(ctx, sr.SubjectPrefix(name))
	Equal("subjects with a prefix", Must(client.Subjects(prefixed)), []string{subject})
	Check("schemas are listed", slices.ContainsFunc(Must(client.AllSchemas(ctx)), func(found sr.SubjectSchema) bool {
		return found.Subject == subject && found.ID == first.ID
	}))
	Check("the default context is listed", slices.Contains(Must(client.Contexts(ctx)), "."))

	narrower := sr.Schema{Schema: Narrower}
	verbose := sr.WithParams(ctx, sr.Verbose)
	compatible := Must(client.CheckCompatibility(verbose, subject, -2, narrower))
	Check("compatibility is asked, and why", !compatible.Is && len(compatible.Messages) > 0)
	_, err := client.CreateSchema(ctx, subject, narrower)
	Check("what is incompatible is refused", refused(err, 409))
	Check("a subject has no level of its own", refused(client.Compatibility(ctx, subject)[0].Err, 40408))
	Equal("the level of all", client.Compatibility(ctx)[0].Level, sr.CompatBackward)
	set := client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, subject)[0]
	Succeeds(set.Err)
	Equal("a level is set and read", client.Compatibility(ctx, subject)[0].Level, sr.CompatNone)
	second := Must(client.CreateSchema(ctx, subject, narrower))
	Equal("with NONE everything goes", second.Version, 2)
	Succeeds(client.ResetCompatibility(ctx, subject)[0].Err)
	Equal("the mode of all", client.Mode(ctx)[0].Mode, sr.ModeReadWrite)
	Succeeds(client.SetMode(ctx, sr.ModeReadOnly, subject)[0].Err)
	_, err = client.CreateSchema(ctx, subject, sr.Schema{Schema: `"long"`})
	Check("what is only read is not written", refused(err, 42205))
	Succeeds(client.ResetMode(ctx, subject)[0].Err)

	house := Must(client.CreateSchema(ctx, name+"-house", sr.Schema{
		Schema:     House,
		References: []sr.SchemaReference{{Name: "site.Door", Subject: subject, Version: 1}},
	}))
	references := Must(client.SchemaReferences(ctx, subject, 1))
	Check("who refers is known", len(references) == 1 && references[0].ID == house.ID)
	Check("what is referred to stays", refused(client.DeleteSchema(ctx, subject, 1, sr.SoftDelete), 42206))
	for _, other := range []sr.Schema{
		{Schema: JSONDoor, Type: sr.TypeJSON},
		{Schema: ProtobufDoor, Type: sr.TypeProtobuf},
	} {
		subject := name + "-" + other.Type.String()
		found := Must(client.SchemaByID(ctx, Must(client.CreateSchema(ctx, subject, other)).ID))
		Equal("a schema comes back: "+other.Type.String(), found.Type, other.Type)
		_ = Must(client.DeleteSubject(ctx, subject, sr.SoftDelete))
	}

	serde := sr.NewSerde()
	type value struct{ text string }
	serde.Register(first.ID, value{},
		sr.EncodeFn(func(found any) ([]byte, error) { return []byte(found.(value).text), nil }),
		sr.DecodeFn(func(bytes []byte, into any) error { into.(*value).text = string(bytes); return nil }))
	var back value
	Succeeds(serde.Decode(Must(serde.Encode(value{"Zoë"})), &back))
	Equal("the wire format", back.text, "Zoë")

	_ = Must(client.DeleteSubject(ctx, name+"-house", sr.SoftDelete))
	_ = Must(client.DeleteSubject(ctx, name+"-house", sr.HardDelete))
	_, err = client.DeleteSubject(ctx, subject, sr.HardDelete)
	Check("for good only after softly", refused(err, 40405))
	Equal("a subject is deleted softly", Must(client.DeleteSubject(ctx, subject, sr.SoftDelete)), []int{1, 2})
	_, err = client.SchemaByVersion(ctx, subject, -1)
	Check("what is deleted is not found", refused(err, 40401))
	deleted := sr.WithParams(ctx, sr.ShowDeleted)
	Equal("but among the deleted", Must(client.SubjectVersions(deleted, subject)), []int{1, 2})
	Equal("a subject is deleted for good", Must(client.DeleteSubject(ctx, subject, sr.HardDelete)), []int{1, 2})
	_, err = client.SubjectVersions(deleted, subject)
	Check("what is gone is nowhere", refused(err, 40401))
	Passed("github.com/twmb/franz-go/pkg/sr")
}
