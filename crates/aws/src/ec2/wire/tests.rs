//! The wire structs against the service model of botocore, and against hostile input.
//!
//! Every struct has a sample with all fields set, made by the same macros that define it. What the
//! encoders make of the samples is compared with the model: nothing is listed by hand.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::*;

/// A value in which every field is set.
pub(crate) trait Sample {
    fn sample() -> Self;
}

impl Sample for String {
    fn sample() -> Self {
        "text & <text>".to_owned()
    }
}

impl Sample for bool {
    fn sample() -> Self {
        true
    }
}

impl Sample for i32 {
    fn sample() -> Self {
        7
    }
}

impl Sample for i64 {
    fn sample() -> Self {
        7
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample() -> Self {
        Some(T::sample())
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample() -> Self {
        vec![T::sample(), T::sample()]
    }
}

impl<T: Sample> Sample for Set<T> {
    fn sample() -> Self {
        Vec::sample().into()
    }
}

#[test]
fn every_operation_of_the_model_extract_agrees_with_the_wire_structs() {
    let mut covered = vec![
        checked::<AssignIpv6AddressesRequest>(),
        checked::<AssignPrivateIpAddressesRequest>(),
        checked::<AttachNetworkInterfaceRequest>(),
        checked::<CreateNetworkInterfaceRequest>(),
        checked::<CreateTagsRequest>(),
        checked::<DeleteNetworkInterfaceRequest>(),
        checked::<DescribeInstanceTypesRequest>(),
        checked::<DescribeInstancesRequest>(),
        checked::<DescribeNetworkInterfacesRequest>(),
        checked::<DescribeSubnetsRequest>(),
        checked::<DescribeTrunkInterfaceAssociationsRequest>(),
        checked::<DetachNetworkInterfaceRequest>(),
        checked::<GetSubnetCidrReservationsRequest>(),
        checked::<ModifyNetworkInterfaceAttributeRequest>(),
        checked::<UnassignIpv6AddressesRequest>(),
        checked::<UnassignPrivateIpAddressesRequest>(),
    ];
    covered.sort_unstable();
    let model = Model::load();
    let in_model: Vec<&str> = model.0["operations"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(covered, in_model);
    assert_eq!(model.0["metadata"]["apiVersion"], API_VERSION);
}

#[test]
fn the_model_walk_notices_a_wrong_name_and_a_wrong_type() {
    let model = Model::load();
    let params = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let input = "DescribeNetworkInterfacesRequest";
    assert_eq!(
        model.parameter_errors(input, &params("MaxResults", "7")),
        [""; 0]
    );
    for (name, value) in [
        ("maxResults", "7"),
        ("MaxResults", "x"),
        ("NetworkInterfaceIds.1", "eni-1"),
        ("NetworkInterfaceId", "eni-1"),
        ("Filter.1.Values.1", "x"),
    ] {
        assert_eq!(
            model.parameter_errors(input, &params(name, value)).len(),
            1,
            "{name}"
        );
    }
    let output = "DescribeNetworkInterfacesResult";
    let eni = |inside: &str| {
        format!("<R><networkInterfaceSet><item>{inside}</item></networkInterfaceSet></R>")
    };
    assert_eq!(
        model.element_errors(output, &eni("<sourceDestCheck>true</sourceDestCheck>")),
        [""; 0]
    );
    for inside in [
        "<sourceDestCheck>yes</sourceDestCheck>",
        "<SourceDestCheck>true</SourceDestCheck>",
        "<tagSet><member><key>k</key></member></tagSet>",
        "<attachment><deviceIndex>one</deviceIndex></attachment>",
    ] {
        assert_eq!(
            model.element_errors(output, &eni(inside)).len(),
            1,
            "{inside}"
        );
    }
}

#[test]
fn parameters_come_back_from_any_order() {
    let mut params = CreateNetworkInterfaceRequest::sample().to_params();
    params.reverse();
    params.push(("Action".to_owned(), "CreateNetworkInterface".to_owned()));
    params.push(("Version".to_owned(), API_VERSION.to_owned()));
    let read = CreateNetworkInterfaceRequest::from_params(&params).unwrap();
    assert_eq!(read, CreateNetworkInterfaceRequest::sample());
}

#[test]
fn list_numbers_order_members_and_may_have_gaps() {
    let params: Vec<(String, String)> = [
        ("NetworkInterfaceId.10", "eni-c"),
        ("NetworkInterfaceId.2", "eni-b"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let read = DescribeNetworkInterfacesRequest::from_params(&params).unwrap();
    assert_eq!(read.network_interface_ids, ["eni-b", "eni-c"]);
}

#[test]
fn parameters_that_the_request_does_not_have_are_named() {
    let cases = [
        ("Colour", "red", ParamProblem::Unknown),
        ("DryRun", "yes", ParamProblem::Malformed),
        ("DryRun", "", ParamProblem::Malformed),
        ("DryRun.1", "true", ParamProblem::Unknown),
        ("MaxResults", "5000000000", ParamProblem::Malformed),
        ("NetworkInterfaceId", "eni-1", ParamProblem::Unknown),
        ("NetworkInterfaceId.0", "eni-1", ParamProblem::Unknown),
        ("NetworkInterfaceId.x", "eni-1", ParamProblem::Unknown),
        ("Filter.1.Colour", "red", ParamProblem::Unknown),
        ("Filter.1", "red", ParamProblem::Unknown),
        ("", "", ParamProblem::Unknown),
        (
            "Filter.1.Value.1.1.1.1.1.1.1.1",
            "deep",
            ParamProblem::Unknown,
        ),
    ];
    for (name, value, problem) in cases {
        let params = [(name.to_owned(), value.to_owned())];
        let error = DescribeNetworkInterfacesRequest::from_params(&params).unwrap_err();
        assert_eq!((error.parameter.as_str(), error.problem), (name, problem));
        assert_eq!(error.value, value, "{name}");
    }
}

#[test]
fn a_parameter_given_twice_is_refused() {
    let twice = |first: &str, second: &str| {
        let params = [
            (first.to_owned(), "1".to_owned()),
            (second.to_owned(), "2".to_owned()),
        ];
        DescribeNetworkInterfacesRequest::from_params(&params)
            .unwrap_err()
            .problem
    };
    assert_eq!(twice("NextToken", "NextToken"), ParamProblem::Repeated);
    assert_eq!(
        twice("NetworkInterfaceId.1", "NetworkInterfaceId.01"),
        ParamProblem::Repeated
    );
}

#[test]
fn a_response_names_its_root_its_name_space_and_its_request() {
    let response = DetachNetworkInterfaceResponse {
        request_id: Some("r-1".to_owned()),
        r#return: Some(true),
    };
    assert_eq!(
        response.to_xml().unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DetachNetworkInterfaceResponse \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r-1</requestId>\
         <return>true</return></DetachNetworkInterfaceResponse>"
    );
}

#[test]
fn empty_lists_are_written_and_absent_values_are_not() {
    let eni = NetworkInterface {
        description: Some(String::new()),
        ..Default::default()
    };
    let response = DescribeNetworkInterfacesResponse {
        network_interfaces: vec![eni].into(),
        ..Default::default()
    };
    let xml = response.to_xml().unwrap();
    assert!(xml.contains("<tagSet/>"), "{xml}");
    assert!(
        xml.contains("<description/>") || xml.contains("<description></description>"),
        "{xml}"
    );
    assert!(
        !xml.contains("ipv4PrefixSet") && !xml.contains("nextToken"),
        "{xml}"
    );
    assert_eq!(
        DescribeNetworkInterfacesResponse::from_xml(&xml).unwrap(),
        response
    );
}

#[test]
fn unknown_elements_and_another_order_do_not_disturb() {
    let xml = "<!-- c --><DescribeNetworkInterfacesResponse xmlns='x'><new><deep a='1'/></new>
        <networkInterfaceSet><item><tagSet/><later>1</later><networkInterfaceId>eni-1\
        </networkInterfaceId></item><item/></networkInterfaceSet><requestId>r</requestId>
        </DescribeNetworkInterfacesResponse>";
    let read = DescribeNetworkInterfacesResponse::from_xml(xml).unwrap();
    assert_eq!(read.network_interfaces.item.len(), 2);
    assert_eq!(
        read.network_interfaces.item[0]
            .network_interface_id
            .as_deref(),
        Some("eni-1")
    );
    assert_eq!(read.request_id.as_deref(), Some("r"));
}

#[test]
fn a_document_cut_anywhere_is_an_error() {
    let whole = AssignPrivateIpAddressesResponse::sample().to_xml().unwrap();
    for end in 0..whole.len() {
        let cut = &whole[..end];
        assert!(
            AssignPrivateIpAddressesResponse::from_xml(cut).is_err(),
            "read {cut:?}"
        );
    }
}

#[test]
fn pages_that_are_not_the_response_are_told_apart() {
    let read = |text: &str| DescribeSubnetsResponse::from_xml(text).unwrap_err();
    assert!(matches!(read(""), XmlError::NotXml { .. }));
    assert!(matches!(
        read("upstream connect error"),
        XmlError::NotXml { .. }
    ));
    assert!(matches!(
        read("{\"message\":\"no\"}"),
        XmlError::NotXml { .. }
    ));
    let html = read("<!DOCTYPE html>\n<html><body>502</body></html>").to_string();
    assert_eq!(
        html,
        "expected an XML document DescribeSubnetsResponse, got a document html"
    );
    let other = "<DescribeInstancesResponse/>";
    assert!(matches!(read(other), XmlError::OtherRoot { .. }));
}

#[test]
fn values_of_the_wrong_type_and_made_up_entities_are_errors() {
    let read = |inside: &str| {
        let text = format!(
            "<DescribeSubnetsResponse><subnetSet><item>{inside}</item></subnetSet>\
             </DescribeSubnetsResponse>"
        );
        DescribeSubnetsResponse::from_xml(&text)
    };
    assert!(read("<availableIpAddressCount>7</availableIpAddressCount>").is_ok());
    assert!(read("<availableIpAddressCount>many</availableIpAddressCount>").is_err());
    assert!(read("<availableIpAddressCount>1</subnetId>").is_err());
    assert!(read("<state>&bomb;</state>").is_err());
}

#[test]
fn an_error_document_has_ec2s_form() {
    let error = ErrorResponse::new("InvalidSubnetID.NotFound", "No 'subnet-1' & such", "r-1");
    let xml = error.to_xml().unwrap();
    assert_eq!(
        xml,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>\
         <Code>InvalidSubnetID.NotFound</Code><Message>No 'subnet-1' &amp; such</Message></Error>\
         </Errors><RequestID>r-1</RequestID></Response>"
    );
    assert_eq!(ErrorResponse::from_xml(&xml).unwrap(), error);
}

/// Checks a request and its response against the model and round trips; returns the action.
fn checked<R>() -> &'static str
where
    R: Request + Sample + PartialEq + std::fmt::Debug,
    R::Response: Sample + PartialEq + std::fmt::Debug,
{
    let model = Model::load();
    let operation = &model.0["operations"][R::ACTION];
    assert!(operation.is_object(), "the model has no {}", R::ACTION);

    let params = R::sample().to_params();
    let input = operation["input"].as_str().unwrap();
    assert_eq!(
        model.parameter_errors(input, &params),
        [""; 0],
        "{}",
        R::ACTION
    );
    assert_eq!(R::from_params(&params).unwrap(), R::sample());

    assert_eq!(R::Response::ROOT, format!("{}Response", R::ACTION));
    let xml = R::Response::sample().to_xml().unwrap();
    match operation["output"].as_str() {
        Some(output) => assert_eq!(model.element_errors(output, &xml), [""; 0], "{}", R::ACTION),
        // The service answers with an acknowledgement that the model does not mention.
        None => assert!(xml.contains("<return>true</return>"), "{}", R::ACTION),
    }
    assert_eq!(R::Response::from_xml(&xml).unwrap(), R::Response::sample());
    R::ACTION
}

/// The extract of botocore's service model.
struct Model(Value);

impl Model {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("../../../tests/data/ec2-model.json")).unwrap())
    }

    fn shape(&self, name: &str) -> &Value {
        &self.0["shapes"][name]
    }

    /// What the model does not allow among form parameters of a request of shape `input`.
    fn parameter_errors(&self, input: &str, params: &[(String, String)]) -> Vec<String> {
        let check = |(name, value): &(String, String)| {
            let mut shape = self.shape(input);
            for part in name.split('.') {
                shape = match shape["type"].as_str() {
                    Some("list") if part.parse::<u32>().is_ok_and(|number| number > 0) => {
                        self.shape(shape["member"]["shape"].as_str()?)
                    }
                    Some("structure") => {
                        let members = shape["members"].as_object()?;
                        let member = members
                            .iter()
                            .find(|(key, m)| parameter_name(key, m) == part)?
                            .1;
                        self.shape(member["shape"].as_str()?)
                    }
                    _ => return None,
                };
            }
            is_scalar_text(shape, value).then_some(())
        };
        params
            .iter()
            .filter(|p| check(p).is_none())
            .map(|p| format!("{p:?}"))
            .collect()
    }

    /// What the model does not allow in a response of shape `output`.
    fn element_errors(&self, output: &str, xml: &str) -> Vec<String> {
        let root = Element::parse(xml);
        let mut errors = Vec::new();
        for child in root
            .children
            .iter()
            .filter(|child| child.name != "requestId")
        {
            self.check_member(self.shape(output), child, &root.name, &mut errors);
        }
        errors
    }

    fn check_member(&self, shape: &Value, element: &Element, at: &str, errors: &mut Vec<String>) {
        let at = format!("{at}/{}", element.name);
        let members = shape["members"].as_object();
        let found = members.and_then(|members| {
            members
                .iter()
                .find(|(key, m)| m["locationName"].as_str().unwrap_or(key.as_str()) == element.name)
        });
        match found {
            None => errors.push(format!("{at} is not in the model")),
            Some((_, m)) => {
                self.check(
                    self.shape(m["shape"].as_str().unwrap()),
                    element,
                    &at,
                    errors,
                );
            }
        }
    }

    fn check(&self, shape: &Value, element: &Element, at: &str, errors: &mut Vec<String>) {
        match shape["type"].as_str().unwrap() {
            "structure" => {
                for child in &element.children {
                    self.check_member(shape, child, at, errors);
                }
            }
            "list" => {
                let name = shape["member"]["locationName"].as_str().unwrap_or("member");
                let member = self.shape(shape["member"]["shape"].as_str().unwrap());
                for child in &element.children {
                    if child.name == name {
                        self.check(member, child, at, errors);
                    } else {
                        errors.push(format!("{at} has <{}> for <{name}>", child.name));
                    }
                }
            }
            _ if is_scalar_text(shape, &element.text) && element.children.is_empty() => {}
            other => errors.push(format!("{at} is {:?} for a {other}", element.text)),
        }
    }
}

/// The name rule of the ec2 protocol: `queryName`, or the location name, or the member's name,
/// the latter two with the first letter in upper case.
fn parameter_name(key: &str, member: &Value) -> String {
    if let Some(name) = member["queryName"].as_str() {
        return name.to_owned();
    }
    let name = member["locationName"].as_str().unwrap_or(key);
    name[..1].to_uppercase() + &name[1..]
}

/// Whether the text is of the shape's type. Samples of text are never a number or a truth value,
/// so that a text field cannot pass for another type, nor another type for text.
fn is_scalar_text(shape: &Value, text: &str) -> bool {
    match shape["type"].as_str() {
        Some("boolean") => matches!(text, "true" | "false"),
        Some("integer" | "long") => text.parse::<i64>().is_ok(),
        Some("string" | "timestamp") => text.parse::<i64>().is_err() && text != "true",
        _ => false,
    }
}

/// An XML element, read without serde.
#[derive(Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn parse(xml: &str) -> Self {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Element::default()];
        let named = |name: &str| Element {
            name: name.to_owned(),
            ..Element::default()
        };
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => open.push(named(tag.local_name().as_ref())),
                Event::Empty(tag) => {
                    open.last_mut()
                        .unwrap()
                        .children
                        .push(named(tag.local_name().as_ref()));
                }
                Event::End(_) => {
                    let closed = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(closed);
                }
                Event::Text(text) => open.last_mut().unwrap().text.push_str(&text),
                Event::GeneralRef(_) => open.last_mut().unwrap().text.push('&'),
                Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
                Event::CData(_) | Event::Comment(_) | Event::Decl(_) => {}
                Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }
}
