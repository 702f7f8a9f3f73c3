// Confluent's registry client for Go and its serializers.
package main

import (
	"errors"
	"slices"

	. "osqdemo/registry-clients/checks"

	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rest"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/avrov2"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/jsonschema"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/protobuf"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type door struct {
	Nr   int32             `avro:"nr" json:"nr"`
	Open bool              `avro:"open" json:"open"`
	Seen map[string]string `avro:"seen" json:"seen"`
}

func refused(err error, code int) bool {
	var response *rest.Error
	return errors.As(err, &response) && response.Code == code
}

func main() {
	url, name := Arguments()
	fresh := func() schemaregistry.Client {
		return Must(schemaregistry.NewClient(schemaregistry.NewConfig(url)))
	}
	administration(fresh, name)
	avro(fresh, name)
	jsonSchema(fresh, name)
	protobufMessages(fresh, name)
	Passed("github.com/confluentinc/confluent-kafka-go/v2")
}

func administration(fresh func() schemaregistry.Client, name string) {
	client, subject := fresh(), name+" a.b-value"
	info := schemaregistry.SchemaInfo{Schema: Door}
	first := Must(client.RegisterFullResponse(subject, info, false))
	Equal("a schema is registered once", Must(fresh().Register(subject, info, false)), first.ID)
	found := Must(fresh().GetBySubjectAndID(subject, first.ID))
	Check("a schema is found by its id", len(found.Schema) > 0)
	Equal("a schema is looked up", Must(fresh().GetID(subject, info, false)), first.ID)
	Equal("its version too", Must(fresh().GetVersion(subject, info, false)), 1)
	latest := Must(client.GetLatestSchemaMetadata(subject))
	Equal("the latest version is known", []int{latest.ID, latest.Version}, []int{first.ID, 1})
	// Its GUID is told only who asks for it, which this client does from some version on.
	if latest.GUID != "" {
		Equal("by its GUID", Must(fresh().GetByGUID(latest.GUID)).Schema, latest.Schema)
		avroInAHeader(fresh, name)
	}
	Equal("versions are listed", Must(client.GetAllVersions(subject)), []int{1})
	Check("subjects are listed", slices.Contains(Must(client.GetAllSubjects()), subject))
	of := Must(client.GetSubjectsAndVersionsByID(first.ID))
	Check("subjects of an id", slices.Contains(of, schemaregistry.SubjectAndVersion{Subject: subject, Version: 1}))
	Check("contexts are listed", slices.Contains(Must(client.GetAllContexts()), "."))

	narrower := schemaregistry.SchemaInfo{Schema: Narrower}
	Check("compatibility is asked", !Must(client.TestSubjectCompatibility(subject, narrower)))
	Check("of a version", !Must(client.TestCompatibility(subject, 1, narrower)))
	_, err := client.Register(subject, narrower, false)
	Check("what is incompatible is refused", refused(err, 409))
	Equal("a level is set", Must(client.UpdateCompatibility(subject, schemaregistry.None)), schemaregistry.Compatibility(schemaregistry.None))
	Equal("a level is read", Must(client.GetCompatibility(subject)), schemaregistry.Compatibility(schemaregistry.None))
	Equal("the settings of all", Must(client.GetDefaultConfig()).CompatibilityLevel, schemaregistry.Compatibility(schemaregistry.Backward))
	Check("with NONE everything goes", Must(client.Register(subject, narrower, false)) != first.ID)
	reference := schemaregistry.Reference{Name: "site.Door", Subject: subject, Version: 1}
	house := schemaregistry.SchemaInfo{Schema: House, References: []schemaregistry.Reference{reference}}
	_ = Must(client.Register(name+"-house", house, false))
	_, err = client.DeleteSubjectVersion(subject, 1, false)
	Check("what is referred to stays", refused(err, 42206))
	_ = Must(client.DeleteSubject(name+"-house", false))
	Equal("a version is deleted", Must(client.DeleteSubjectVersion(subject, 2, false)), 2)
	_, err = fresh().DeleteSubject(subject, true)
	Check("for good only after softly", refused(err, 40405))
	Equal("a subject is deleted softly", Must(client.DeleteSubject(subject, false)), []int{1})
	Equal("and for good", Sorted(Must(client.DeleteSubject(subject, true))), []int{1, 2})
	_, err = fresh().GetLatestSchemaMetadata(subject)
	Check("what is gone is not found", refused(err, 40401))
}

func avro(fresh func() schemaregistry.Client, topic string) {
	client, value := fresh(), door{Nr: 7, Open: true, Seen: map[string]string{"by": "Zoë"}}
	serializer := Must(avrov2.NewSerializer(client, serde.ValueSerde, avrov2.NewSerializerConfig()))
	bytes := Must(serializer.Serialize(topic, &value))
	Equal("avro: magic byte", bytes[0], 0)
	deserializer := Must(avrov2.NewDeserializer(fresh(), serde.ValueSerde, avrov2.NewDeserializerConfig()))
	var back door
	Succeeds(deserializer.DeserializeInto(topic, bytes, &back))
	Equal("avro: the value comes back", back, value)
	for number := range int32(10_000) {
		_ = Must(serializer.Serialize(topic, &door{Nr: number}))
	}
	Equal("avro: 10,000 values make one version", Must(client.GetAllVersions(topic+"-value")), []int{1})
	config := avrov2.NewSerializerConfig()
	config.AutoRegisterSchemas, config.UseLatestVersion = false, true
	latest := Must(avrov2.NewSerializer(fresh(), serde.ValueSerde, config))
	Equal("avro: the latest schema is used", Must(latest.Serialize(topic, &value)), bytes)
	config = avrov2.NewSerializerConfig()
	config.AutoRegisterSchemas = false
	unknown := Must(avrov2.NewSerializer(fresh(), serde.ValueSerde, config))
	_, err := unknown.Serialize(topic+"-other", &value)
	Check("avro: what is not registered is refused", refused(err, 40401))
}

func avroInAHeader(fresh func() schemaregistry.Client, name string) {
	topic, value := name+"-header", door{Nr: 7, Seen: map[string]string{}}
	serializer := Must(avrov2.NewSerializer(fresh(), serde.ValueSerde, avrov2.NewSerializerConfig()))
	serializer.SchemaIDSerializer = serde.HeaderSchemaIDSerializer
	headers, bytes, err := serializer.SerializeWithHeaders(topic, &value)
	Succeeds(err)
	Equal("avro: the GUID is in a header", headers[0].Key, "__value_schema_id")
	deserializer := Must(avrov2.NewDeserializer(fresh(), serde.ValueSerde, avrov2.NewDeserializerConfig()))
	var back door
	Succeeds(deserializer.DeserializeWithHeadersInto(topic, headers, bytes, &back))
	Equal("avro: a schema is found by its GUID", back, value)
}

func jsonSchema(fresh func() schemaregistry.Client, name string) {
	client, topic := fresh(), name+"-json"
	_ = Must(client.Register(topic+"-value", schemaregistry.SchemaInfo{Schema: JSONDoor, SchemaType: "JSON"}, false))
	config := jsonschema.NewSerializerConfig()
	config.AutoRegisterSchemas, config.UseLatestVersion, config.EnableValidation = false, true, true
	serializer := Must(jsonschema.NewSerializer(client, serde.ValueSerde, config))
	value := map[string]any{"nr": 7.0}
	bytes := Must(serializer.Serialize(topic, &value))
	deserializer := Must(jsonschema.NewDeserializer(fresh(), serde.ValueSerde, jsonschema.NewDeserializerConfig()))
	var back map[string]any
	Succeeds(deserializer.DeserializeInto(topic, bytes, &back))
	Equal("json: the value comes back", back, value)
	wrong := map[string]any{"nr": "seven"}
	_, err := serializer.Serialize(topic, &wrong)
	Check("json: what does not fit is refused", err != nil)
}

func protobufMessages(fresh func() schemaregistry.Client, name string) {
	client, topic := fresh(), name+"-protobuf"
	serializer := Must(protobuf.NewSerializer(client, serde.ValueSerde, protobuf.NewSerializerConfig()))
	bytes := Must(serializer.Serialize(topic, wrapperspb.Int32(7)))
	deserializer := Must(protobuf.NewDeserializer(fresh(), serde.ValueSerde, protobuf.NewDeserializerConfig()))
	var back wrapperspb.Int32Value
	Succeeds(deserializer.DeserializeInto(topic, bytes, &back))
	Equal("protobuf: the value comes back", back.GetValue(), 7)
	Equal("protobuf: the type is kept", Must(fresh().GetLatestSchemaMetadata(topic+"-value")).SchemaType, "PROTOBUF")
}
